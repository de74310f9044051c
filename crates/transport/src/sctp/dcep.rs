//! The Data Channel Establishment Protocol (RFC 8832), its accepting side.

use sctp_proto::ReliabilityType;

/// DATA_CHANNEL_ACK, the whole message (RFC 8832 §5.2).
pub(super) const ACK: [u8; 1] = [2];

/// Message type of DATA_CHANNEL_OPEN.
const OPEN: u8 = 3;

/// The bit of a channel type that says unordered.
const UNORDERED: u8 = 0x80;

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1), as far as an SFU cares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Open<'a> {
    pub(super) unordered: bool,
    pub(super) reliability: ReliabilityType,
    /// Retransmissions or milliseconds, depending on the reliability.
    pub(super) parameter: u32,
    pub(super) label: &'a [u8],
}

impl<'a> Open<'a> {
    /// Reads the message; `None` if it is not one.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let (head, rest) = message.split_first_chunk::<12>()?;
        let &[kind, channel, _, _, r0, r1, r2, r3, l0, l1, p0, p1] = head;
        let reliability = match channel & !UNORDERED {
            0 => ReliabilityType::Reliable,
            1 => ReliabilityType::Rexmit,
            2 => ReliabilityType::Timed,
            _ => return None,
        };
        let label_len = usize::from(u16::from_be_bytes([l0, l1]));
        let protocol_len = usize::from(u16::from_be_bytes([p0, p1]));
        if kind != OPEN || rest.len() != label_len + protocol_len {
            return None;
        }
        Some(Self {
            unordered: channel & UNORDERED != 0,
            reliability,
            parameter: u32::from_be_bytes([r0, r1, r2, r3]),
            label: rest.get(..label_len)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rtc_datachannel::message::Message;
    use rtc_datachannel::message::message_channel_open::{ChannelType, DataChannelOpen};
    use rtc_shared::marshal::Marshal;

    use super::*;

    #[test]
    fn reads_what_rtc_datachannel_writes() {
        for (channel_type, unordered, reliability) in [
            (ChannelType::Reliable, false, ReliabilityType::Reliable),
            (
                ChannelType::ReliableUnordered,
                true,
                ReliabilityType::Reliable,
            ),
            (
                ChannelType::PartialReliableRexmit,
                false,
                ReliabilityType::Rexmit,
            ),
            (
                ChannelType::PartialReliableRexmitUnordered,
                true,
                ReliabilityType::Rexmit,
            ),
            (
                ChannelType::PartialReliableTimed,
                false,
                ReliabilityType::Timed,
            ),
            (
                ChannelType::PartialReliableTimedUnordered,
                true,
                ReliabilityType::Timed,
            ),
        ] {
            let message = Message::DataChannelOpen(DataChannelOpen {
                channel_type,
                priority: 256,
                reliability_parameter: 70_000,
                label: b"chat".to_vec(),
                protocol: b"json".to_vec(),
            })
            .marshal()
            .unwrap();
            let expected = Open {
                unordered,
                reliability,
                parameter: 70_000,
                label: b"chat",
            };
            assert_eq!(Open::read(&message), Some(expected));
            for cut in 0..message.len() {
                assert_eq!(Open::read(&message[..cut]), None);
            }
        }
    }

    #[test]
    fn unknown_types_and_lengths_beyond_the_message_are_refused() {
        let good = [3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, b'a'];
        assert!(Open::read(&good).is_some());
        for (at, value) in [
            (0, 2),
            (1, 3),
            (1, 0x83),
            (8, 0xff),
            (9, 2),
            (10, 1),
            (11, 9),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(Open::read(&bad), None, "{at} {value}");
        }
    }
}
