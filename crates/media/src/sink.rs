//! Where an engine's packets go.

use crate::config::{RelayId, SessionKey};

/// Largest plaintext packet that an engine writes: header, extensions and payload, in bytes.
///
/// Fits an Ethernet frame of 1500 bytes over IPv6, too: 40 bytes of IP, 8 of UDP and at most 20 of
/// SRTCP (16 of SRTP). Beyond the link's MTU a kernel refuses GSO, and with it whole batches.
///
/// It is not made for the smallest MTU of IPv6, 1280: publishers choose how they cut frames, and
/// what was forwarded cannot be cut again. Browsers stay below 1200 bytes; who sends more finds
/// that paths of 1500 carry it, and on narrower ones IP fragments it. What would exceed the bound
/// once it is rewritten, with a longer header, is dropped and counted as `rtp_too_large`.
pub const PACKET_BYTES_MAX: usize = 1432;

/// Takes an engine's packets, in the order in which they shall leave. Implemented by the
/// worker (encrypts into its send slabs) and by the simulator.
pub trait PacketSink {
    /// One RTP packet for a session. `index` is its 48-bit packet index (RFC 3711 §3.3.1:
    /// roll-over counter and sequence number), `len_max` a bound on its length; `write` is called
    /// at most once with at least `len_max` bytes and returns how many it wrote; 0 when the
    /// packet turned out not to fit: nothing is to be sent then.
    fn rtp(
        &mut self,
        to: SessionKey,
        index: u64,
        len_max: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    );

    /// One RTCP packet, compound or reduced-size, for a session.
    fn rtcp(&mut self, to: SessionKey, packet: &[u8]);

    /// One message for the other end of a relay; only another engine understands it. `write` appends
    /// it; it need not be called.
    fn relay(&mut self, relay: RelayId, write: impl Fn(&mut Vec<u8>));
}

/// Appends what `write` appends behind its length, 4 bytes in little-endian order: so that messages for
/// relays can stand one after the other.
pub fn append_with_length(to: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let len_at = to.len();
    to.extend_from_slice(&[0; 4]);
    let start = to.len();
    write(to);
    let len = u32::try_from(to.len() - start);
    if let (Some(place), Ok(len)) = (to.get_mut(len_at..start), len) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}
