//! Description to text.

use core::fmt::{Display, Formatter, Result, Write};

use super::{Format, MediaSection, SessionDescription, SimulcastStream};

impl Display for SessionDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "v=0\r\n")?;
        write!(
            f,
            "o=- {} {} IN IP4 127.0.0.1\r\n",
            self.session_id, self.session_version
        )?;
        write!(f, "s=-\r\nt=0 0\r\n")?;
        if !self.bundle.is_empty() {
            write!(f, "a=group:BUNDLE")?;
            for mid in &self.bundle {
                write!(f, " {mid}")?;
            }
            write!(f, "\r\n")?;
        }
        if self.ice_lite {
            write!(f, "a=ice-lite\r\n")?;
        }
        if self.extmap_allow_mixed {
            write!(f, "a=extmap-allow-mixed\r\n")?;
        }
        self.media.iter().try_for_each(|section| section.fmt(f))
    }
}

impl Display for MediaSection {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "m={} {} {}", self.kind.name(), self.port, self.protocol)?;
        for format in &self.formats {
            write!(f, " {}", format.payload_type)?;
        }
        for subprotocol in &self.subprotocols {
            write!(f, " {subprotocol}")?;
        }
        write!(f, "\r\nc=IN IP4 0.0.0.0\r\n")?;
        line(f, "mid", self.mid)?;
        flag(f, self.direction.name(), true)?;
        flag(f, "bundle-only", self.bundle_only)?;
        write_transport(f, self)?;
        write_rtp(f, self)?;
        line(f, "sctp-port", self.sctp_port)?;
        line(f, "max-message-size", self.max_message_size)?;
        for candidate in &self.candidates {
            line(f, "candidate", Some(candidate))?;
        }
        flag(f, "end-of-candidates", self.end_of_candidates)
    }
}

fn write_transport(f: &mut Formatter<'_>, section: &MediaSection) -> Result {
    line(f, "ice-ufrag", section.ice_ufrag.as_ref())?;
    line(f, "ice-pwd", section.ice_pwd.as_ref())?;
    if !section.ice_options.is_empty() {
        line(f, "ice-options", Some(section.ice_options.join(" ")))?;
    }
    for fingerprint in &section.fingerprints {
        write!(f, "a=fingerprint:{} ", fingerprint.hash.name())?;
        for (index, byte) in fingerprint.digest.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        write!(f, "\r\n")?;
    }
    line(f, "setup", section.setup.map(super::Setup::name))
}

fn write_rtp(f: &mut Formatter<'_>, section: &MediaSection) -> Result {
    flag(f, "rtcp-mux", section.rtcp_mux)?;
    flag(f, "rtcp-rsize", section.rtcp_rsize)?;
    for extension in &section.extensions {
        write!(f, "a=extmap:{}", extension.id)?;
        if let Some(direction) = extension.direction {
            write!(f, "/{}", direction.name())?;
        }
        write!(f, " {}\r\n", extension.uri)?;
    }
    if let Some(msid) = &section.msid {
        write!(f, "a=msid:{}", msid.stream)?;
        if let Some(track) = &msid.track {
            write!(f, " {track}")?;
        }
        write!(f, "\r\n")?;
    }
    for format in &section.formats {
        write_format(f, format)?;
    }
    for rid in &section.rids {
        let direction = if rid.send { "send" } else { "recv" };
        write!(f, "a=rid:{} {direction}\r\n", rid.rid)?;
    }
    let simulcast = &section.simulcast;
    if !simulcast.send.is_empty() || !simulcast.receive.is_empty() {
        let mut separator = ':';
        write!(f, "a=simulcast")?;
        for (direction, streams) in [("send", &simulcast.send), ("recv", &simulcast.receive)] {
            if !streams.is_empty() {
                write!(f, "{separator}{direction} ")?;
                write_streams(f, streams)?;
                separator = ' ';
            }
        }
        write!(f, "\r\n")?;
    }
    for (media, rtx) in &section.fid_groups {
        write!(f, "a=ssrc-group:FID {media} {rtx}\r\n")?;
    }
    if !section.sim_group.is_empty() {
        write!(f, "a=ssrc-group:SIM")?;
        for ssrc in &section.sim_group {
            write!(f, " {ssrc}")?;
        }
        write!(f, "\r\n")?;
    }
    for source in &section.ssrcs {
        write!(f, "a=ssrc:{}", source.ssrc)?;
        if let Some(cname) = &source.cname {
            write!(f, " cname:{cname}")?;
        }
        write!(f, "\r\n")?;
    }
    Ok(())
}

fn write_format(f: &mut Formatter<'_>, format: &Format) -> Result {
    let payload_type = format.payload_type;
    if let Some(encoding) = &format.encoding {
        let (name, clock_rate_hz) = (&encoding.name, encoding.clock_rate_hz);
        write!(f, "a=rtpmap:{payload_type} {name}/{clock_rate_hz}")?;
        if let Some(channels) = encoding.channels {
            write!(f, "/{channels}")?;
        }
        write!(f, "\r\n")?;
    }
    if !format.parameters.is_empty() {
        write!(f, "a=fmtp:{payload_type} {}\r\n", format.parameters)?;
    }
    for feedback in &format.feedback {
        write!(f, "a=rtcp-fb:{payload_type} {}\r\n", feedback.name())?;
    }
    Ok(())
}

fn write_streams(f: &mut Formatter<'_>, streams: &[SimulcastStream]) -> Result {
    for (index, stream) in streams.iter().enumerate() {
        if index > 0 {
            f.write_char(';')?;
        }
        if stream.paused {
            f.write_char('~')?;
        }
        write!(f, "{}", stream.rid)?;
    }
    Ok(())
}

fn line<V: Display>(f: &mut Formatter<'_>, name: &str, value: Option<V>) -> Result {
    match value {
        Some(value) => write!(f, "a={name}:{value}\r\n"),
        None => Ok(()),
    }
}

fn flag(f: &mut Formatter<'_>, name: &str, set: bool) -> Result {
    match set {
        true => write!(f, "a={name}\r\n"),
        false => Ok(()),
    }
}
