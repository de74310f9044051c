//! Goldens of real clients' offers (`tests/offers/<client>.offer.sdp`, answers beside them;
//! `UPDATE_GOLDEN=1` rewrites), and what later offers may and may not change.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crosspoint_media::config::PayloadConfig;
use crosspoint_transport::api::{FingerprintAlgorithm, Protocol};
use crosspoint_wire::ext::ExtensionKind;

use super::*;
use crate::fuzzing;

/// SplitMix64: the same numbers for ever, which `StdRng` does not promise.
struct Counted(u64);

impl RngCore for Counted {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next_u64() as u8;
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offers")
}

fn offer_text(client: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{client}.offer.sdp"))).unwrap()
}

fn negotiate_text(
    offer: &str,
    previous: Option<&Negotiated>,
    may_publish: bool,
) -> Result<Negotiated, OfferProblem> {
    let fingerprint = Fingerprint {
        algorithm: FingerprintAlgorithm::Sha256,
        digest: (0..32).collect(),
    };
    let candidates = [
        (Protocol::Udp, "198.51.100.7:7882"),
        (Protocol::Udp, "[2001:db8::7]:7882"),
        (Protocol::TcpPassive, "198.51.100.7:7881"),
        (Protocol::TcpPassive, "[2001:db8::7]:7881"),
    ]
    .map(|(protocol, address)| Candidate {
        protocol,
        address: address.parse().unwrap(),
    });
    let terms = Terms {
        codecs: &ALL_CODECS,
        fingerprint: &fingerprint,
        candidates: &candidates,
        may_publish: &|_| may_publish,
    };
    let offer = SessionDescription::parse(offer)?;
    let seed = previous.map_or(1, |previous| previous.version + 1);
    negotiate(&offer, previous, &terms, &mut Counted(seed))
}

fn first(offer: &str) -> Negotiated {
    negotiate_text(offer, None, true).unwrap()
}

fn again(offer: &str, previous: &Negotiated) -> Negotiated {
    negotiate_text(offer, Some(previous), true).unwrap()
}

fn config(negotiated: &Negotiated) -> SessionConfig {
    negotiated.session_config(|_| {
        Some(Published {
            track: TrackId(1),
            source: TrackSource::Other,
            muted: false,
            reserved: false,
        })
    })
}

/// The answer and the session's configuration, for eyes and diffs.
fn printed(negotiated: &Negotiated) -> String {
    let mut text = negotiated.answer.replace("\r\n", "\n");
    let config = config(negotiated);
    writeln!(text, "\nremote ufrag {}", negotiated.remote.ufrag).unwrap();
    writeln!(text, "feedback {:?}", config.feedback).unwrap();
    for kind in ExtensionKind::ALL {
        if let Some(id) = config.extensions.id(kind) {
            let taken = config.slot_extensions.id(kind).is_some();
            let note = if taken { "" } else { " (not taken)" };
            writeln!(text, "extension {id} {kind:?}{note}").unwrap();
        }
    }
    for line in config.receive {
        let (mid, kind, ssrcs, rids) = (line.mid, line.kind, line.ssrcs, line.rids);
        writeln!(text, "receive {mid} {kind:?} ssrcs {ssrcs:?} rids {rids:?}").unwrap();
        print_payloads(&mut text, &line.payloads);
    }
    for slot in config.slots {
        let SlotConfig {
            mid,
            kind,
            ssrc,
            rtx_ssrc,
            pair,
            payloads,
            transport_cc,
            descriptors,
        } = slot;
        let rtx = rtx_ssrc.map_or("none".to_owned(), |ssrc| ssrc.to_string());
        writeln!(
            text,
            "slot {mid} {kind:?} ssrc {ssrc} rtx {rtx} pair {pair} transport-cc {transport_cc} \
             descriptors {descriptors}"
        )
        .unwrap();
        print_payloads(&mut text, &payloads);
    }
    text
}

fn print_payloads(text: &mut String, payloads: &[PayloadConfig]) {
    for p in payloads {
        let rtx = p.rtx.map_or("none".to_owned(), |rtx| rtx.to_string());
        let feedback = [(p.nack, " nack"), (p.pli, " pli"), (p.fir, " fir")]
            .map(|(has, name)| if has { name } else { "" })
            .concat();
        let (number, codec, profile) = (p.payload_type, p.codec, p.profile);
        writeln!(text, "  {number} {codec:?} {profile:?} rtx {rtx}{feedback}").unwrap();
    }
}

fn check_golden(client: &str) {
    let actual = printed(&first(&offer_text(client)));
    let path = folder().join(format!("{client}.answer.sdp"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(actual, expected, "{} differs", path.display());
}

#[test]
fn chrome_with_tracks_slots_and_data_is_answered() {
    check_golden("chrome");
}

#[test]
fn chrome_simulcast_is_answered() {
    check_golden("chrome_simulcast");
}

#[test]
fn a_browser_that_only_watches_is_answered() {
    check_golden("chrome_whep");
}

#[test]
fn firefox_with_its_simulcast_is_answered() {
    check_golden("firefox");
}

#[test]
fn safari_is_answered() {
    check_golden("safari");
}

#[test]
fn gstreamer_without_a_group_is_answered() {
    check_golden("gstreamer_webrtcbin");
}

#[test]
fn gstreamer_whip_is_answered() {
    check_golden("gstreamer_whipclientsink");
}

#[test]
fn obs_is_answered() {
    check_golden("obs");
}

#[test]
fn aiortc_with_a_transport_and_candidates_per_m_line_is_answered() {
    check_golden("aiortc");
}

#[test]
fn every_answer_is_a_description_with_as_many_m_lines() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".offer.sdp") {
            let text = std::fs::read_to_string(&path).unwrap();
            let answer = SessionDescription::parse(&first(&text).answer).unwrap();
            let offer = SessionDescription::parse(&text).unwrap();
            assert_eq!(answer.media.len(), offer.media.len());
            fuzzing::offer(text.as_bytes());
        }
    }
}

#[test]
fn the_same_offer_again_changes_nothing_but_the_version() {
    let text = offer_text("chrome");
    let one = first(&text);
    let two = again(&text, &one);
    assert!(!two.ice_restarted);
    assert_eq!(config(&one), config(&two));
    assert_eq!(one.local, two.local);
    let lines = one.answer.lines().zip(two.answer.lines());
    let different: Vec<_> = lines.filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    assert!(matches!(different.as_slice(), [line] if line.starts_with("o=- ")));
}

#[test]
fn new_credentials_restart_ice() {
    let text = offer_text("chrome");
    let one = first(&text);
    let two = again(&text.replace("Yq3F", "nEwU"), &one);
    assert!(two.ice_restarted);
    assert_eq!(two.remote.ufrag, "nEwU");
    assert_ne!(two.local, one.local);
    assert!(two.answer.contains(&two.local.pwd) && !two.answer.contains(&one.local.pwd));
    assert_eq!(config(&one), config(&two), "media goes on as it was");
}

/// Replaces text within one m-line's section.
fn in_section(offer: &str, index: usize, from: &str, to: &str) -> String {
    let mut parts: Vec<String> = offer.split("m=").map(str::to_owned).collect();
    let part = &mut parts[index + 1];
    assert!(part.contains(from), "{from} is in section {index}");
    *part = part.replace(from, to);
    parts.join("m=")
}

#[test]
fn an_m_line_that_stops_sending_and_starts_again_is_another_track() {
    let text = offer_text("chrome");
    let one = first(&text);
    let stopped = again(&in_section(&text, 1, "a=sendonly", "a=inactive"), &one);
    assert_eq!(stopped.receive_lines().count(), 1);
    let started = again(&text, &stopped);
    let since: Vec<_> = started.receive_lines().map(|line| line.since).collect();
    assert_eq!(since, [1, 3]);
}

#[test]
fn another_msid_is_another_track() {
    let text = offer_text("chrome");
    let one = first(&text);
    let other = in_section(&text, 1, "a=msid:5d9b 8e2a-video", "a=msid:5d9b screen");
    let two = again(&other, &one);
    let since: Vec<_> = two.receive_lines().map(|line| line.since).collect();
    assert_eq!(since, [1, 2]);
}

#[test]
fn a_slot_that_comes_back_has_new_ssrcs_and_others_keep_theirs() {
    let text = offer_text("chrome");
    let one = first(&text);
    let two = again(&in_section(&text, 4, "a=recvonly", "a=inactive"), &one);
    let three = again(&text, &two);
    let ssrcs = |n: &Negotiated| n.slots().map(|slot| slot.ssrc).collect::<Vec<_>>();
    let (before, after) = (ssrcs(&one), ssrcs(&three));
    assert_eq!(before.len(), 4);
    let kept: Vec<_> = before.iter().zip(&after).map(|(a, b)| a == b).collect();
    assert_eq!(kept, [true, true, false, true]);
    let pairs: Vec<_> = three.slots().map(|slot| slot.pair).collect();
    assert_eq!(pairs, [0, 1, 0, 1]);
}

#[test]
fn m_lines_may_be_added_but_not_moved_or_dropped() {
    let text = offer_text("chrome");
    let one = first(&text);
    let parts: Vec<&str> = text.split("m=").collect();
    let fewer = parts[..7].join("m=");
    assert_eq!(
        negotiate_text(&fewer, Some(&one), true).unwrap_err(),
        OfferProblem::MLineChanged(6)
    );
    let mut swapped = parts.clone();
    swapped.swap(1, 2);
    assert_eq!(
        negotiate_text(&swapped.join("m="), Some(&one), true).unwrap_err(),
        OfferProblem::MLineChanged(0)
    );
    let more = format!(
        "{}m={}",
        text.replace("BUNDLE 0", "BUNDLE 7 0"),
        parts[5].replace("a=mid:4", "a=mid:7")
    );
    let two = again(&more, &one);
    assert_eq!(two.slots().last().unwrap().pair, 2);
}

#[test]
fn the_place_of_a_rejected_m_line_may_be_reused() {
    let text = offer_text("chrome");
    let one = first(&text);
    let stopped = in_section(&text, 1, "video 9", "video 0").replace("BUNDLE 0 1", "BUNDLE 0");
    let two = again(&stopped, &one);
    assert_eq!(two.receive_lines().count(), 1);
    assert!(two.answer.contains("m=video 0 "));
    let parts: Vec<&str> = text.split("m=").collect();
    let mut reused = parts;
    let audio = reused[1].replace("a=mid:0", "a=mid:9");
    reused[2] = &audio;
    let three = again(&reused.join("m=").replace("BUNDLE 0 1", "BUNDLE 0 9"), &two);
    let mids: Vec<_> = three.receive_lines().map(|l| l.mid.to_string()).collect();
    assert_eq!(mids, ["0", "9"]);
}

#[test]
fn what_may_not_be_published_is_not_asked_for() {
    let negotiated = negotiate_text(&offer_text("chrome"), None, false).unwrap();
    assert_eq!(negotiated.receive_lines().count(), 0);
    assert_eq!(negotiated.answer.matches("a=inactive").count(), 2);
    assert_eq!(negotiated.slots().count(), 4);
}

#[test]
fn the_tagged_m_line_is_the_first_that_is_accepted() {
    // Nothing in the first m-line is known any more.
    let mut unknown = offer_text("chrome_whep");
    for name in ["VP8", "VP9", "H264", "AV1"] {
        unknown = unknown.replace(&format!(" {name}/90000"), " none/90000");
    }
    let answer = SessionDescription::parse(&first(&unknown).answer).unwrap();
    let [video, audio] = answer.media.as_slice() else {
        panic!("two m-lines");
    };
    assert!(video.is_rejected() && video.candidates.is_empty());
    assert_eq!(audio.candidates.len(), 4);
    assert_eq!(answer.bundle.len(), 1);
}

#[test]
fn offers_that_cannot_be_trusted_or_served_are_refused() {
    let text = offer_text("chrome");
    let fingerprint = text
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .unwrap();
    let other = fingerprint.replace("AA:BB", "AA:BC");
    let nothing = text
        .replace("UDP/TLS/RTP/SAVPF", "RTP/AVP")
        .replace("rtpmap", "x-rtpmap");
    let cases = [
        (
            "no fingerprint",
            text.replace("a=fingerprint", "a=x-fingerprint"),
            OfferProblem::Attribute("fingerprint"),
        ),
        (
            "only weak fingerprints",
            text.replace("sha-256", "sha-1"),
            OfferProblem::Attribute("fingerprint"),
        ),
        (
            "a short fingerprint",
            text.replace(":88:99", ""),
            OfferProblem::Attribute("fingerprint"),
        ),
        (
            "two fingerprints in one m-line",
            text.replacen(fingerprint, &format!("{fingerprint}\n{other}"), 1),
            OfferProblem::Contradiction("fingerprint"),
        ),
        (
            "another fingerprint in another m-line",
            text.replacen(fingerprint, &other, 1),
            OfferProblem::Contradiction("fingerprint"),
        ),
        (
            "passive",
            text.replace("setup:actpass", "setup:passive"),
            OfferProblem::Attribute("setup"),
        ),
        (
            "no setup",
            text.replace("a=setup", "a=x-setup"),
            OfferProblem::Attribute("setup"),
        ),
        (
            "no ICE user",
            text.replace("a=ice-ufrag", "a=x-ufrag"),
            OfferProblem::Attribute("ice-ufrag"),
        ),
        (
            "no ICE password",
            text.replace("a=ice-pwd", "a=x-pwd"),
            OfferProblem::Attribute("ice-pwd"),
        ),
        (
            "an m-line out of the group",
            text.replace("BUNDLE 0 1 2", "BUNDLE 0 1"),
            OfferProblem::NotBundled,
        ),
        (
            "no group",
            text.replace("a=group:BUNDLE", "a=group:LS"),
            OfferProblem::NotBundled,
        ),
        (
            "RTCP on a port of its own",
            text.replace("a=rtcp-mux", "a=x-rtcp-mux"),
            OfferProblem::Attribute("rtcp-mux"),
        ),
        (
            "no mid",
            text.replace("a=mid:1", "a=x-mid:1"),
            OfferProblem::Attribute("mid"),
        ),
        (
            "one mid twice",
            text.replace("a=mid:1\n", "a=mid:0\n"),
            OfferProblem::Contradiction("mid"),
        ),
        (
            "nothing that is served",
            nothing
                .replace("webrtc-datachannel", "other")
                .replace(" 0 8 ", " "),
            OfferProblem::NothingUsable,
        ),
    ];
    for (name, offer, problem) in cases {
        let refused = negotiate_text(&offer, None, true).map(|n| n.answer);
        assert_eq!(refused, Err(problem), "{name}");
    }
}

#[test]
fn a_later_offer_cannot_bring_another_certificate() {
    let text = offer_text("obs");
    let one = first(&text);
    let refused = negotiate_text(&text.replace("AA:BB", "AA:BC"), Some(&one), true);
    assert_eq!(
        refused.map(|n| n.answer),
        Err(OfferProblem::Contradiction("fingerprint"))
    );
}

#[test]
fn the_corpus_of_descriptions_holds_no_surprise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/sdp");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        fuzzing::offer(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn damaged_offers_never_panic() {
    let text = offer_text("chrome_simulcast");
    for position in (0..text.len()).step_by(7) {
        let mut damaged = text.clone().into_bytes();
        damaged[position] = b'0';
        fuzzing::offer(&damaged);
        damaged.remove(position);
        fuzzing::offer(&damaged);
    }
}
