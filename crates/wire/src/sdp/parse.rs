//! Text to description: limits first, then `rtc-sdp`'s line grammar, then attributes.

use std::io::Cursor;

use rtc_sdp::MediaDescription;
use rtc_sdp::description::common::Attribute;

use super::attribute::{read_media_attribute, read_session_attribute};
use super::model::is_rtp;
use super::{
    ATTRIBUTES_MAX, BYTES_MAX, CANDIDATES_MAX, FINGERPRINTS_MAX, Format, LINE_BYTES_MAX,
    MEDIA_SECTIONS_MAX, MediaSection, SdpError, SectionKind, SessionDescription,
};

impl SessionDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError`] names the line, the limit or the attribute that is wrong.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        check_limits(text)?;
        let mut reader = Cursor::new(text.as_bytes());
        let Ok(raw) = rtc_sdp::SessionDescription::unmarshal(&mut reader) else {
            // Lines are known to be well-formed, so the reader stands behind the key or the value
            // of the line that it does not like.
            let line = line_at(text, usize::try_from(reader.position()).unwrap_or(0));
            return Err(SdpError::Syntax { line });
        };

        let mut description = Self {
            session_id: raw.origin.session_id,
            session_version: raw.origin.session_version,
            ..Self::default()
        };
        // What every section starts from: values at session level.
        let mut inherited = MediaSection::new(SectionKind::Application, 9, "");
        for Attribute { key, value } in &raw.attributes {
            let value = value.as_deref().unwrap_or_default();
            read_session_attribute(&mut description, &mut inherited, key, value)?;
        }
        for media in &raw.media_descriptions {
            let section = read_section(&mut description, &inherited, media)?;
            description.media.push(section);
        }
        Ok(description)
    }
}

fn read_section(
    description: &mut SessionDescription,
    inherited: &MediaSection,
    raw: &MediaDescription,
) -> Result<MediaSection, SdpError> {
    let name = &raw.media_name;
    // `rtc-sdp` lets no other kinds and ports through.
    let kind = SectionKind::from_name(&name.media).ok_or(SdpError::Syntax { line: 0 })?;
    let port = u16::try_from(name.port.value).map_err(|_| SdpError::Syntax { line: 0 })?;
    let mut section = MediaSection {
        kind,
        port,
        protocol: name.protos.join("/"),
        ..inherited.clone()
    };
    if is_rtp(&section.protocol) {
        for format in &name.formats {
            let payload_type = format
                .parse()
                .ok()
                .filter(|&number: &u8| number <= 127)
                .ok_or(SdpError::Attribute("rtpmap"))?;
            if section
                .formats
                .iter()
                .all(|f| f.payload_type != payload_type)
            {
                section.formats.push(Format {
                    payload_type,
                    ..Format::default()
                });
            }
        }
    } else {
        section.subprotocols.clone_from(&name.formats);
    }
    for Attribute { key, value } in &raw.attributes {
        let value = value.as_deref().unwrap_or_default();
        read_media_attribute(description, &mut section, key, value)?;
    }
    if section.fingerprints.len() > FINGERPRINTS_MAX {
        return Err(SdpError::Limit {
            what: "fingerprints",
            max: FINGERPRINTS_MAX,
        });
    }
    Ok(section)
}

/// Bounds everything that later steps allocate for, and makes sure that each line is `x=...`.
fn check_limits(text: &str) -> Result<(), SdpError> {
    let limit = |count: usize, what, max| match count > max {
        true => Err(SdpError::Limit { what, max }),
        false => Ok(()),
    };
    limit(text.len(), "bytes", BYTES_MAX)?;
    let (mut sections, mut candidates, mut attributes) = (0, 0, 0);
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        limit(line.len(), "bytes in one line", LINE_BYTES_MAX)?;
        match line.as_bytes() {
            [] => continue,
            [b'm', b'=', ..] => {
                sections += 1;
                attributes = 0;
            }
            [b'a', b'=', ..] => attributes += 1,
            [b'a'..=b'z', b'=', ..] => {}
            _ => return Err(SdpError::Syntax { line: index + 1 }),
        }
        // The grammar trims what follows the equals sign.
        let value = line.get(2..).unwrap_or_default().trim_start();
        candidates += usize::from(value.starts_with("candidate:"));
        limit(sections, "m-lines", MEDIA_SECTIONS_MAX)?;
        limit(candidates, "candidates", CANDIDATES_MAX)?;
        limit(attributes, "attributes in one section", ATTRIBUTES_MAX)?;
    }
    Ok(())
}

/// 1-based number of the line that holds the last of the first `consumed` bytes.
fn line_at(text: &str, consumed: usize) -> usize {
    let before = text
        .as_bytes()
        .get(..consumed.saturating_sub(1))
        .unwrap_or_default();
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
