//! A look at the records of a datagram before DTLS takes them.

/// Content type of alerts (RFC 5246 §6.2.1).
const ALERT: u8 = 21;

/// Bytes of the record header of DTLS 1.2 and of the plaintext records of 1.3.
const HEADER_LEN: usize = 13;

/// Whether `datagram` carries an alert that is not encrypted.
///
/// Anyone who can send a datagram from the peer's address can write one, and a DTLS stack ends
/// the connection by it. An honest peer's alert says no more than that it gave up, which the
/// handshake's timeout finds out, too.
pub(super) fn carry_plaintext_alert(datagram: &[u8]) -> bool {
    // The two versions cut a datagram into records differently, and which of them will is not
    // known before the handshake: neither reading may hold an alert.
    walk(datagram, false) || walk(datagram, true)
}

fn walk(datagram: &[u8], unified_headers: bool) -> bool {
    let mut rest = datagram;
    loop {
        let record_len = match rest.first() {
            Some(&first) if unified_headers && first >> 5 == 1 => unified_len(first, rest),
            Some(&first) => {
                let Some(&[_, _, _, e0, e1, .., l0, l1]) = rest.first_chunk::<HEADER_LEN>() else {
                    return false;
                };
                if first == ALERT && [e0, e1] == [0, 0] {
                    return true;
                }
                HEADER_LEN + usize::from(u16::from_be_bytes([l0, l1]))
            }
            None => return false,
        };
        let Some(next) = rest.get(record_len..) else {
            return false;
        };
        rest = next;
    }
}

/// Length of an encrypted record of DTLS 1.3 (RFC 9147 §4), at least 2.
fn unified_len(first: u8, record: &[u8]) -> usize {
    let sequence_len = if first & 0x08 == 0 { 1 } else { 2 };
    let length = record
        .get(1 + sequence_len..)
        .and_then(|rest| rest.first_chunk())
        .filter(|_| first & 0x04 != 0);
    match length {
        Some(&length) => 3 + sequence_len + usize::from(u16::from_be_bytes(length)),
        None => record.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0];
        record.push(body.len() as u8);
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn a_plaintext_alert_is_found_wherever_it_stands() {
        let alert = record(21, 0, &[2, 40]);
        let handshake = record(22, 0, &[1; 40]);
        let sealed = [0x2c, 0, 1, 0, 3, 9, 9, 9];
        assert!(carry_plaintext_alert(&alert));
        assert!(carry_plaintext_alert(&[&handshake[..], &alert].concat()));
        assert!(carry_plaintext_alert(&[&sealed[..], &alert].concat()));
        // A record that 1.2 skips by its own length field and 1.3 takes for the whole datagram.
        let mut odd = record(0x20, 0, &[0; 5]);
        odd.extend_from_slice(&alert);
        assert!(carry_plaintext_alert(&odd));
    }

    #[test]
    fn other_records_are_not_taken_for_alerts() {
        for datagram in [
            &[][..],
            &[21],
            &record(21, 1, &[0; 32]),
            &record(22, 0, &[21; 60]),
            &record(20, 0, &[1]),
            &[0x2c, 0, 1, 0, 3, 9, 9, 9],
            &[0x20, 0, 21, 21, 21],
        ] {
            assert!(!carry_plaintext_alert(datagram), "{datagram:x?}");
        }
    }
}
