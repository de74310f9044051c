//! ICE descriptions between WHIP clients and us: `application/trickle-ice-sdpfrag` (RFC 8840 §9).

use crosspoint_control::api::IceRestart;

/// The lines that matter here of a fragment, or of a whole offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The sender's user fragment.
    pub(super) ufrag: Option<String>,
    pwd: Option<String>,
    /// The first m-line with its mid: the one that the others are bundled on (RFC 8840 §4.4).
    media: Option<String>,
    mid: Option<String>,
    /// `a=group:BUNDLE` value.
    bundle: Option<String>,
}

impl Fragment {
    /// Reads a text. What is not known is skipped, as RFC 8840 asks; what is given twice counts the
    /// first time, since all m-lines of a bundle say the same.
    pub(super) fn parse(text: &str) -> Self {
        let mut fragment = Self::default();
        for line in text.lines() {
            let line = line.trim_end();
            let field = |slot: &mut Option<String>, value: &str| {
                slot.get_or_insert_with(|| value.to_owned());
            };
            if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                field(&mut fragment.ufrag, value);
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                field(&mut fragment.pwd, value);
            } else if line.starts_with("m=") {
                field(&mut fragment.media, line);
            } else if let Some(value) = line.strip_prefix("a=mid:") {
                field(&mut fragment.mid, value);
            } else if let Some(value) = line.strip_prefix("a=group:BUNDLE") {
                field(&mut fragment.bundle, value.trim());
            }
        }
        fragment
    }

    /// Both credentials, when they have the lengths of RFC 8839 §5.4.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        let (ufrag, pwd) = (self.ufrag.as_deref()?, self.pwd.as_deref()?);
        let ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        let valid = (4..=256).contains(&ufrag.len())
            && (22..=256).contains(&pwd.len())
            && ufrag.bytes().chain(pwd.bytes()).all(ice_char);
        valid.then_some((ufrag, pwd))
    }

    /// Our side of a restart, for the client that made this offer (RFC 9725 §4.3.3).
    pub(super) fn answer(&self, ours: &IceRestart) -> String {
        let mut lines = vec!["a=ice-lite".to_owned()];
        if let Some(bundle) = &self.bundle {
            lines.push(format!("a=group:BUNDLE {bundle}"));
        }
        let media = self.media.as_deref();
        lines.push(media.unwrap_or("m=audio 9 UDP/TLS/RTP/SAVPF 0").to_owned());
        lines.push(format!("a=mid:{}", self.mid.as_deref().unwrap_or("0")));
        lines.push(format!("a=ice-ufrag:{}", ours.ufrag));
        lines.push(format!("a=ice-pwd:{}", ours.pwd));
        lines.extend(ours.candidates.iter().map(|value| format!("a={value}")));
        lines.push("a=end-of-candidates\r\n".to_owned());
        lines.join("\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: &str = "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:ysXw\r\n\
        a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:other\r\n";

    #[test]
    fn the_first_of_each_line_counts() {
        let fragment = Fragment::parse(RESTART);
        assert_eq!(
            fragment.credentials(),
            Some(("ysXw", "vw5LmwG4y/e6dPP/zAP9Gp5k"))
        );
        assert_eq!(fragment.mid.as_deref(), Some("0"));
    }

    #[test]
    fn candidates_alone_are_no_credentials() {
        let fragment = Fragment::parse("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n");
        assert_eq!(fragment.credentials(), None);
    }

    #[test]
    fn credentials_out_of_form_are_none() {
        let fragment = Fragment::parse("a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n");
        assert_eq!(fragment.credentials(), None);
        let pwd = "vw5LmwG4y/e6dPP/zAP9Gp5k";
        let fragment = Fragment::parse(&format!("a=ice-ufrag:ab d\r\na=ice-pwd:{pwd}\r\n"));
        assert_eq!(fragment.credentials(), None);
    }

    #[test]
    fn the_answer_names_our_credentials_on_the_bundled_m_line() {
        let ours = IceRestart {
            ufrag: "ours".to_owned(),
            pwd: "p".repeat(22),
            candidates: vec!["candidate:1 1 udp 2130706431 192.0.2.7 7882 typ host".to_owned()],
        };
        let answer = Fragment::parse(RESTART).answer(&ours);
        assert_eq!(
            answer,
            "a=ice-lite\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
             a=ice-ufrag:ours\r\na=ice-pwd:pppppppppppppppppppppp\r\n\
             a=candidate:1 1 udp 2130706431 192.0.2.7 7882 typ host\r\na=end-of-candidates\r\n"
        );
    }
}
