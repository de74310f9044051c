use super::*;
use crate::fuzzing;
use crate::ids::Token;

const HEAD: &str = "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const DIGEST: &str = "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:\
                      10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:ff";

fn parse(body: &str) -> Result<SessionDescription, SdpError> {
    SessionDescription::parse(&format!("{HEAD}{body}"))
}

fn video(attributes: &str) -> Result<MediaSection, SdpError> {
    let body = format!("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:v\r\n{attributes}");
    parse(&body).map(|mut description| description.media.remove(0))
}

fn token(text: &str) -> Token {
    Token::new(text.as_bytes()).unwrap()
}

#[test]
fn formats_gather_their_encoding_parameters_and_feedback() {
    let section = video(
        "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96; rtx-time=3000\r\n\
         a=rtcp-fb:96 nack pli\r\na=rtcp-fb:* transport-cc\r\na=rtcp-fb:96 trr-int 100\r\n",
    )
    .unwrap();
    let [vp8, rtx] = section.formats.as_slice() else {
        panic!("two formats");
    };
    assert_eq!(vp8.encoding.as_ref().unwrap().name, "VP8");
    assert_eq!(vp8.feedback, [Feedback::NackPli, Feedback::TransportCc]);
    assert_eq!(rtx.parameter("APT"), Some("96"));
    assert_eq!(rtx.parameter("rtx-time"), Some("3000"));
    assert_eq!(rtx.parameter("none"), None);
}

#[test]
fn session_level_values_reach_every_m_line() {
    let body = format!(
        "a=fingerprint:sha-256 {DIGEST}\r\na=ice-ufrag:abcd\r\na=setup:actpass\r\na=sendonly\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:wxyz\r\n\
         a=recvonly\r\n"
    );
    let description = parse(&body).unwrap();
    let [audio, video] = description.media.as_slice() else {
        panic!("two m-lines");
    };
    assert_eq!(audio.fingerprints, video.fingerprints);
    assert_eq!(audio.fingerprints.first().unwrap().digest.len(), 32);
    assert_eq!(audio.ice_ufrag.as_deref(), Some("abcd"));
    assert_eq!(video.ice_ufrag.as_deref(), Some("wxyz"));
    assert_eq!(audio.direction, Direction::SendOnly);
    assert_eq!(video.direction, Direction::RecvOnly);
    assert_eq!(video.setup, Some(Setup::ActPass));
}

#[test]
fn simulcast_keeps_order_pauses_and_first_alternatives() {
    let section = video(
        "a=rid:h send\r\na=rid:m send pt=96\r\na=rid:l send\r\na=simulcast:send h;~m,x;l recv y\r\n",
    )
    .unwrap();
    let streams: Vec<_> = section
        .simulcast
        .send
        .iter()
        .map(|stream| (stream.rid.as_str().to_owned(), stream.paused))
        .collect();
    assert_eq!(
        streams,
        [
            ("h".to_owned(), false),
            ("m".to_owned(), true),
            ("l".to_owned(), false)
        ]
    );
    assert_eq!(section.simulcast.receive.len(), 1);
    assert_eq!(section.rids.len(), 3);
    assert!(section.rids.iter().all(|rid| rid.send));
}

#[test]
fn streams_and_their_groups_are_read() {
    let section = video(
        "a=ssrc-group:FID 11 12\r\na=ssrc-group:SIM 11 21\r\na=ssrc:11 cname:me\r\n\
         a=ssrc:11 msid:a b\r\na=ssrc:12 cname:me\r\na=msid:stream track\r\n",
    )
    .unwrap();
    assert_eq!(section.fid_groups, [(11, 12)]);
    assert_eq!(section.sim_group, [11, 21]);
    assert_eq!(section.ssrcs.len(), 2);
    assert_eq!(section.msid.unwrap().track.as_deref(), Some("track"));
}

#[test]
fn bundle_only_is_not_a_rejection() {
    let description = parse(
        "a=group:BUNDLE a b\r\nm=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\na=bundle-only\r\n\
         m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:b\r\n",
    )
    .unwrap();
    assert_eq!(description.bundle, [token("a"), token("b")]);
    let rejected: Vec<_> = description
        .media
        .iter()
        .map(MediaSection::is_rejected)
        .collect();
    assert_eq!(rejected, [false, true]);
}

#[test]
fn errors_name_the_line() {
    let cases = [
        ("", 1),
        ("v=0\r\no=- 7 2 IN IP4\r\n", 2),
        (&format!("{HEAD}m=audio\r\n"), 5),
        (&format!("{HEAD}a=x\r\nm=cello 9 RTP/AVP 0\r\n"), 6),
        (&format!("{HEAD}hello\r\n"), 5),
        (&format!("{HEAD}\r\ns=again\r\n"), 6),
        (&format!("{HEAD}m=audio 99999 RTP/AVP 0"), 5),
    ];
    for (text, line) in cases {
        let error = SessionDescription::parse(text).unwrap_err();
        assert_eq!(error, SdpError::Syntax { line }, "{text}");
    }
}

#[test]
fn errors_name_the_attribute() {
    let cases = [
        ("fingerprint", format!("sha-256 {}", &DIGEST[3..])),
        ("fingerprint", format!("sha-256 {DIGEST}:00")),
        ("fingerprint", format!("sha-256 +{}", &DIGEST[1..])),
        ("fingerprint", "sha-256".to_owned()),
        ("ice-ufrag", "abc".to_owned()),
        ("ice-ufrag", "ab:cd".to_owned()),
        ("ice-pwd", "short".to_owned()),
        ("setup", "maybe".to_owned()),
        ("mid", "a-mid-that-is-far-too-long".to_owned()),
        ("extmap", "1".to_owned()),
        ("extmap", "1/up urn:x".to_owned()),
        ("rtpmap", "96 VP8".to_owned()),
        ("rid", "h both".to_owned()),
        ("simulcast", "send".to_owned()),
        ("simulcast", "send a;;b".to_owned()),
        ("ssrc", "4294967296 cname:x".to_owned()),
        ("sctp-port", "-1".to_owned()),
    ];
    for (name, value) in cases {
        let error = video(&format!("a={name}:{value}\r\n")).unwrap_err();
        assert_eq!(error, SdpError::Attribute(name), "{value}");
    }
}

#[test]
fn limits_are_named() {
    let limit = |what, max| SdpError::Limit { what, max };
    let many = |count: usize, line: &str| format!("{HEAD}{}", line.repeat(count));
    let section = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n";
    let cases = [
        (
            many(12_000, "a=this-is-22-bytes---\r\n"),
            limit("bytes", BYTES_MAX),
        ),
        (many(65, section), limit("m-lines", 64)),
        (
            many(201, "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"),
            limit("candidates", 200),
        ),
        (many(201, "a= candidate:1\r\n"), limit("candidates", 200)),
        (
            many(1025, "a=x\r\n"),
            limit("attributes in one section", ATTRIBUTES_MAX),
        ),
        (
            many(1, &format!("a={}\r\n", "x".repeat(LINE_BYTES_MAX))),
            limit("bytes in one line", LINE_BYTES_MAX),
        ),
        (
            format!("{HEAD}{section}{}", "a=extmap:1 urn:x\r\n".repeat(65)),
            limit("header extensions", LIST_MAX),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(SessionDescription::parse(&text), Err(expected));
    }
    assert_eq!(
        SessionDescription::parse(&many(64, section))
            .unwrap()
            .media
            .len(),
        64
    );
}

#[test]
fn weak_hashes_are_passed_over() {
    let section = video("a=fingerprint:sha-1 00:11\r\na=fingerprint:md5 xx\r\n").unwrap();
    assert!(section.fingerprints.is_empty());
}

#[test]
fn what_is_written_reads_back() {
    let text = format!(
        "{HEAD}a=group:BUNDLE 0 1 d\r\na=extmap-allow-mixed\r\na=ice-lite\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=sendonly\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {DIGEST}\r\na=setup:active\r\n\
         a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
         a=extmap:1/recvonly urn:x\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n\
         a=end-of-candidates\r\na=ice-options:trickle renomination\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rid:h send\r\n\
         a=simulcast:send ~h\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:x\r\na=msid:- t\r\n\
         a=rtcp-fb:96 ccm fir\r\na=inactive\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\na=sctp-port:5000\r\n\
         a=max-message-size:65536\r\n"
    );
    let first = SessionDescription::parse(&text).unwrap();
    let second = SessionDescription::parse(&first.to_string()).unwrap();
    assert_eq!(first, second);
    assert_eq!(first.media.len(), 3);
}

#[test]
fn damaged_text_never_panics() {
    let text = format!(
        "{HEAD}a=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\n\
         a=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f\r\na=rid:a send\r\n\
         a=simulcast:send a;~b\r\na=ssrc-group:FID 1 2\r\na=fingerprint:sha-256 {DIGEST}\r\n"
    );
    for position in 0..text.len() {
        fuzzing::sdp(&text.as_bytes()[..position]);
        for byte in [b'\0', b'=', b':', b' ', b'\r', b'\n', b'/', b'9', 0xff] {
            let mut damaged = text.clone().into_bytes();
            damaged[position] = byte;
            fuzzing::sdp(&damaged);
        }
    }
}
