//! Attribute values to fields.

use core::str::FromStr;

use super::{
    Direction, Encoding, Extmap, Feedback, Fingerprint, Format, HashFunction, LIST_MAX,
    MediaSection, Msid, RIDS_MAX, RidLine, SdpError, SessionDescription, Setup, Simulcast,
    SimulcastStream, SsrcLine,
};
use crate::ids::{PayloadType, Rid, Ssrc, Token};

/// Applies an attribute at session level; what m-lines inherit goes into `inherited`.
pub(super) fn read_session_attribute(
    description: &mut SessionDescription,
    inherited: &mut MediaSection,
    key: &str,
    value: &str,
) -> Result<(), SdpError> {
    match key {
        "ice-lite" => description.ice_lite = true,
        "group" => read_group(description, value)?,
        // These may stand at either level. So may extmap, but nobody in WebRTC writes it here, and
        // a copy of a long list for each m-line would be a hostile offer's lever.
        "ice-ufrag" | "ice-pwd" | "ice-options" | "fingerprint" | "setup"
        | "extmap-allow-mixed" | "sendrecv" | "sendonly" | "recvonly" | "inactive" => {
            read_media_attribute(description, inherited, key, value)?;
        }
        _ => {}
    }
    Ok(())
}

/// Applies an attribute of an m-line.
pub(super) fn read_media_attribute(
    description: &mut SessionDescription,
    section: &mut MediaSection,
    key: &str,
    value: &str,
) -> Result<(), SdpError> {
    match key {
        "mid" => section.mid = Some(token("mid", value)?),
        "sendrecv" | "sendonly" | "recvonly" | "inactive" => {
            section.direction = Direction::from_name(key).unwrap_or_default();
        }
        "bundle-only" => section.bundle_only = true,
        "ice-ufrag" => section.ice_ufrag = Some(ice_value("ice-ufrag", 4, value)?),
        "ice-pwd" => section.ice_pwd = Some(ice_value("ice-pwd", 22, value)?),
        "ice-options" => {
            section.ice_options = value.split_whitespace().map(str::to_owned).collect();
        }
        "fingerprint" => read_fingerprint(section, value)?,
        "setup" => {
            section.setup = Some(Setup::from_name(value).ok_or(SdpError::Attribute("setup"))?);
        }
        "rtpmap" => read_rtpmap(section, value)?,
        "fmtp" => {
            if let Some((format, parameters)) = of_format(section, value) {
                format.parameters = parameters.to_owned();
            }
        }
        "rtcp-fb" => read_feedback(section, value),
        "extmap" => read_extmap(section, value)?,
        "extmap-allow-mixed" => description.extmap_allow_mixed = true,
        "msid" if section.msid.is_none() => section.msid = read_msid(value),
        "rtcp-mux" => section.rtcp_mux = true,
        "rtcp-rsize" => section.rtcp_rsize = true,
        "rid" => read_rid(section, value)?,
        "simulcast" => section.simulcast = read_simulcast(value)?,
        "ssrc" => read_ssrc(section, value)?,
        "ssrc-group" => read_ssrc_group(section, value)?,
        "sctp-port" => section.sctp_port = Some(number("sctp-port", value)?),
        "max-message-size" => section.max_message_size = Some(number("max-message-size", value)?),
        "candidate" if !value.is_empty() => section.candidates.push(value.to_owned()),
        "end-of-candidates" => section.end_of_candidates = true,
        _ => {}
    }
    Ok(())
}

/// RFC 5888 §4. Only the first BUNDLE group counts; other semantics mean nothing here.
fn read_group(description: &mut SessionDescription, value: &str) -> Result<(), SdpError> {
    let mut words = value.split_whitespace();
    if words.next() == Some("BUNDLE") && description.bundle.is_empty() {
        for mid in words {
            push(
                "members of a group",
                LIST_MAX,
                &mut description.bundle,
                token("group", mid)?,
            )?;
        }
    }
    Ok(())
}

/// RFC 8122 §5: `sha-256 AB:CD:...`. Hash functions that are unknown or broken are passed over,
/// as an endpoint may list several.
fn read_fingerprint(section: &mut MediaSection, value: &str) -> Result<(), SdpError> {
    const MALFORMED: SdpError = SdpError::Attribute("fingerprint");
    let (name, digits) = value.split_once(' ').ok_or(MALFORMED)?;
    let Some(hash) = HashFunction::from_name(name) else {
        return Ok(());
    };
    let mut digest = Vec::with_capacity(hash.digest_bytes());
    for byte in digits.trim().split(':') {
        let hex = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !hex || digest.len() == hash.digest_bytes() {
            return Err(MALFORMED);
        }
        digest.push(u8::from_str_radix(byte, 16).map_err(|_| MALFORMED)?);
    }
    if digest.len() != hash.digest_bytes() {
        return Err(MALFORMED);
    }
    let fingerprint = Fingerprint { hash, digest };
    if !section.fingerprints.contains(&fingerprint) {
        section.fingerprints.push(fingerprint);
    }
    Ok(())
}

/// RFC 8866 §6.6: `111 opus/48000/2`.
fn read_rtpmap(section: &mut MediaSection, value: &str) -> Result<(), SdpError> {
    const MALFORMED: SdpError = SdpError::Attribute("rtpmap");
    let (payload_type, encoding) = value.split_once(' ').ok_or(MALFORMED)?;
    let _: PayloadType = number("rtpmap", payload_type)?;
    let mut parts = encoding.trim().split('/');
    let name = parts.next().unwrap_or_default().to_owned();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(MALFORMED);
    }
    let encoding = Encoding {
        name,
        clock_rate_hz: number("rtpmap", parts.next().unwrap_or_default())?,
        channels: parts
            .next()
            .map(|text| number("rtpmap", text))
            .transpose()?,
    };
    if let Some((format, _)) = of_format(section, value) {
        format.encoding = Some(encoding);
    }
    Ok(())
}

/// RFC 4585 §4.2: `96 nack pli`, or `*` for all formats.
fn read_feedback(section: &mut MediaSection, value: &str) {
    let Some((which, kind)) = value.split_once(' ') else {
        return;
    };
    let Some(feedback) = Feedback::from_name(kind.trim()) else {
        return;
    };
    let payload_type = which.parse::<PayloadType>().ok();
    for format in &mut section.formats {
        let meant = which == "*" || payload_type == Some(format.payload_type);
        if meant && !format.feedback.contains(&feedback) {
            format.feedback.push(feedback);
        }
    }
}

/// RFC 8285 §8: `3/sendonly URI`. Ids above 255 ask the answerer to choose one (§7); nobody does
/// that in WebRTC, so they are passed over.
fn read_extmap(section: &mut MediaSection, value: &str) -> Result<(), SdpError> {
    const MALFORMED: SdpError = SdpError::Attribute("extmap");
    let mut words = value.split_whitespace();
    let mapping = words.next().ok_or(MALFORMED)?;
    let uri = words.next().ok_or(MALFORMED)?.to_owned();
    let (id, direction) = match mapping.split_once('/') {
        Some((id, direction)) => (id, Some(Direction::from_name(direction).ok_or(MALFORMED)?)),
        None => (mapping, None),
    };
    let id: u16 = number("extmap", id)?;
    if let Ok(id @ 1..) = u8::try_from(id) {
        let extension = Extmap { id, direction, uri };
        push(
            "header extensions",
            LIST_MAX,
            &mut section.extensions,
            extension,
        )?;
    }
    Ok(())
}

/// RFC 8830 §2: `stream track`.
fn read_msid(value: &str) -> Option<Msid> {
    let mut words = value.split_whitespace().map(str::to_owned);
    Some(Msid {
        stream: words.next()?,
        track: words.next(),
    })
}

/// RFC 8851 §4: `h send ...`.
fn read_rid(section: &mut MediaSection, value: &str) -> Result<(), SdpError> {
    let mut words = value.split_whitespace();
    let rid = rid("rid", words.next().unwrap_or_default())?;
    let send = match words.next() {
        Some("send") => true,
        Some("recv") => false,
        _ => return Err(SdpError::Attribute("rid")),
    };
    push(
        "RIDs in one section",
        RIDS_MAX,
        &mut section.rids,
        RidLine { rid, send },
    )
}

/// RFC 8853 §5.1: `send h;~m,n;l recv x`.
fn read_simulcast(value: &str) -> Result<Simulcast, SdpError> {
    let mut simulcast = Simulcast::default();
    let mut words = value.split_whitespace();
    while let Some(direction) = words.next() {
        let list = words.next().ok_or(SdpError::Attribute("simulcast"))?;
        let streams = match direction {
            "send" => &mut simulcast.send,
            "recv" => &mut simulcast.receive,
            _ => return Err(SdpError::Attribute("simulcast")),
        };
        if !streams.is_empty() {
            return Err(SdpError::Attribute("simulcast"));
        }
        // A draft had `rid=` in front of the list, and so have some clients still.
        for alternatives in list.strip_prefix("rid=").unwrap_or(list).split(';') {
            let first = alternatives.split(',').next().unwrap_or_default();
            let stream = SimulcastStream {
                rid: rid("simulcast", first.strip_prefix('~').unwrap_or(first))?,
                paused: first.starts_with('~'),
            };
            push("simulcast streams", RIDS_MAX, streams, stream)?;
        }
    }
    Ok(simulcast)
}

/// RFC 5576 §4.1: `1234 cname:text`. Other source attributes are passed over.
fn read_ssrc(section: &mut MediaSection, value: &str) -> Result<(), SdpError> {
    let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
    let ssrc: Ssrc = number("ssrc", ssrc)?;
    let cname = attribute
        .trim()
        .strip_prefix("cname:")
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    if let Some(line) = section.ssrcs.iter_mut().find(|line| line.ssrc == ssrc) {
        line.cname = line.cname.take().or(cname);
        return Ok(());
    }
    push(
        "SSRCs in one section",
        LIST_MAX,
        &mut section.ssrcs,
        SsrcLine { ssrc, cname },
    )
}

/// RFC 5576 §4.2: `FID 1234 5678`.
fn read_ssrc_group(section: &mut MediaSection, value: &str) -> Result<(), SdpError> {
    let mut words = value.split_whitespace();
    let semantics = words.next();
    let mut ssrcs = Vec::new();
    for word in words {
        push(
            "SSRCs in one group",
            LIST_MAX,
            &mut ssrcs,
            number("ssrc-group", word)?,
        )?;
    }
    match (semantics, ssrcs.as_slice()) {
        (Some("FID"), &[media, rtx]) => push(
            "SSRC groups",
            LIST_MAX,
            &mut section.fid_groups,
            (media, rtx),
        ),
        (Some("SIM"), [_, ..]) => {
            section.sim_group = ssrcs;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The format that a value of the form `96 rest` is about, and the rest.
fn of_format<'s, 'v>(
    section: &'s mut MediaSection,
    value: &'v str,
) -> Option<(&'s mut Format, &'v str)> {
    let (payload_type, rest) = value.split_once(' ')?;
    let payload_type: PayloadType = payload_type.parse().ok()?;
    let format = section
        .formats
        .iter_mut()
        .find(|format| format.payload_type == payload_type)?;
    Some((format, rest.trim()))
}

/// RFC 8839 §5.4. Any visible ASCII is taken, as clients are liberal here; a colon would be
/// ambiguous in STUN's USERNAME.
fn ice_value(name: &'static str, len_min: usize, value: &str) -> Result<String, SdpError> {
    let ok = (len_min..=256).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':');
    ok.then(|| value.to_owned())
        .ok_or(SdpError::Attribute(name))
}

/// RFC 8851 §10: letters, digits, `-` and `_`.
fn rid(name: &'static str, text: &str) -> Result<Rid, SdpError> {
    let ok = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    ok.then_some(text)
        .ok_or(SdpError::Attribute(name))
        .and_then(|text| token(name, text))
}

fn token(name: &'static str, text: &str) -> Result<Token, SdpError> {
    Token::new(text.as_bytes()).ok_or(SdpError::Attribute(name))
}

fn number<T: FromStr>(name: &'static str, text: &str) -> Result<T, SdpError> {
    // `FromStr` would take a sign.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(SdpError::Attribute(name));
    }
    text.parse().map_err(|_| SdpError::Attribute(name))
}

fn push<T>(what: &'static str, max: usize, list: &mut Vec<T>, item: T) -> Result<(), SdpError> {
    if list.len() == max {
        return Err(SdpError::Limit { what, max });
    }
    list.push(item);
    Ok(())
}
