//! STUN messages as ICE uses them (RFC 8489, RFC 8445 §7.1): a borrowed view of what came in
//! and a writer for what goes out.
//!
//! [`Message::parse`] checks everything that needs no secret (framing, attribute lengths, the
//! FINGERPRINT); [`Message::verify`] checks MESSAGE-INTEGRITY. Until the second has said yes,
//! nothing in a message may be believed and nothing may be answered: a reply to an
//! unauthenticated request makes the server a reflector.
//!
//! The view is our own instead of `rtc-stun`'s because it is fed by anyone on the internet:
//! that one copies the datagram and each attribute to the heap before a check can fail, and
//! takes a FINGERPRINT that is not last. It is the oracle of the tests.
//!
//! This is *not* an ICE agent (that is `crosspoint-transport`'s) and not a TURN client:
//! attributes that ICE does not use are skipped, or reported when a peer requires them.

use std::net::{IpAddr, SocketAddr};

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::ParseError;

#[cfg(test)]
mod tests;

/// Length of the fixed header.
pub const HEADER_BYTES: usize = 20;

/// Most attributes that are looked at; a message with more is refused. Browsers send seven.
pub const ATTRIBUTES_MAX: usize = 32;

/// Most unknown comprehension-required attributes that are remembered for a 420 reply.
const UNKNOWN_MAX: usize = 8;

/// Room that suffices for every reply this module writes.
pub const REPLY_BYTES_MAX: usize = 160;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const INTEGRITY_BYTES: usize = 20;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// A FINGERPRINT attribute with its header.
const FINGERPRINT_BYTES: usize = ATTRIBUTE_HEADER_BYTES + 4;

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// Attribute types (RFC 8489 §18.3, RFC 8445 §16.1).
mod attribute {
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(super) const PRIORITY: u16 = 0x0024;
    pub(super) const USE_CANDIDATE: u16 = 0x0025;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    pub(super) const ICE_CONTROLLED: u16 = 0x8029;
    pub(super) const ICE_CONTROLLING: u16 = 0x802a;
    /// Types below this must be understood by the receiver of a request.
    pub(super) const COMPREHENSION_OPTIONAL: u16 = 0x8000;
}

/// Identifies a request and its response; chosen at random by who asks.
pub type TransactionId = [u8; 12];

/// What a message is (RFC 8489 §5). Only the Binding method exists in ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Binding request: a connectivity check.
    Request,
    /// Binding indication: a keepalive.
    Indication,
    /// Binding success response.
    Success,
    /// Binding error response.
    Error,
}

impl Class {
    const fn message_type(self) -> u16 {
        match self {
            Self::Request => 0x0001,
            Self::Indication => 0x0011,
            Self::Success => 0x0101,
            Self::Error => 0x0111,
        }
    }

    const fn from_message_type(value: u16) -> Option<Self> {
        match value {
            0x0001 => Some(Self::Request),
            0x0011 => Some(Self::Indication),
            0x0101 => Some(Self::Success),
            0x0111 => Some(Self::Error),
            _ => None,
        }
    }
}

/// Which side decides on the path, as the sender of a request sees itself (RFC 8445 §7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The sender nominates.
    Controlling,
    /// The sender thinks that the receiver nominates.
    Controlled,
}

/// Error codes that an ICE-lite responder sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 420: a comprehension-required attribute is not understood.
    UnknownAttribute,
    /// 487: both sides think that they have the same role.
    RoleConflict,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::UnknownAttribute => 420,
            Self::RoleConflict => 487,
        }
    }
}

/// A password, ready for MESSAGE-INTEGRITY (short-term credentials, RFC 8489 §9.1.1): the two
/// HMAC-SHA1 blocks that depend on the key only are computed once.
#[derive(Clone)]
pub struct Key(Hmac<Sha1>);

impl Key {
    /// From an ICE password.
    #[must_use]
    pub fn new(password: &str) -> Self {
        Self(Hmac::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length"))
    }

    /// HMAC of `covered`, a message up to but without its MESSAGE-INTEGRITY, as if the message
    /// ended with that attribute (RFC 8489 §14.5).
    fn mac(&self, covered: &[u8]) -> Result<Hmac<Sha1>, ParseError> {
        let (start, rest) = covered.split_at_checked(4).ok_or(ParseError::TooShort)?;
        let length = covered.len() + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES - HEADER_BYTES;
        let length = u16::try_from(length).map_err(|_| ParseError::Length)?;
        let mut mac = self.0.clone();
        mac.update(start.get(..2).unwrap_or_default());
        mac.update(&length.to_be_bytes());
        mac.update(rest);
        Ok(mac)
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A well-formed Binding message, not yet authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    transaction: TransactionId,
    username: Option<&'a [u8]>,
    priority: Option<u32>,
    use_candidate: bool,
    role: Option<Role>,
    mapped: Option<SocketAddr>,
    error: Option<u16>,
    /// Where MESSAGE-INTEGRITY starts, and its value.
    integrity: Option<(usize, &'a [u8; INTEGRITY_BYTES])>,
    unknown: [u16; UNKNOWN_MAX],
    unknown_len: usize,
}

impl<'a> Message<'a> {
    /// Reads a datagram that holds one Binding message and nothing else.
    ///
    /// FINGERPRINT is required, last and right (RFC 8445 §7.1.3 demands it of ICE agents).
    /// Attributes after MESSAGE-INTEGRITY are not covered by it and are skipped; of an attribute
    /// that occurs twice the first counts (RFC 8489 §14).
    ///
    /// # Errors
    ///
    /// [`ParseError`] says what is wrong; nothing is known about the message then.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = bytes
            .first_chunk::<HEADER_BYTES>()
            .ok_or(ParseError::TooShort)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
        if [c0, c1, c2, c3] != MAGIC_COOKIE {
            return Err(ParseError::Version);
        }
        let class = Class::from_message_type(u16::from_be_bytes([t0, t1]));
        let class = class.ok_or(ParseError::Value)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length != bytes.len() - HEADER_BYTES || !length.is_multiple_of(4) {
            return Err(ParseError::Length);
        }
        check_fingerprint(bytes)?;
        let mut message = Self {
            bytes,
            class,
            transaction,
            username: None,
            priority: None,
            use_candidate: false,
            role: None,
            mapped: None,
            error: None,
            integrity: None,
            unknown: [0; UNKNOWN_MAX],
            unknown_len: 0,
        };
        message.read_attributes()?;
        Ok(message)
    }

    fn read_attributes(&mut self) -> Result<(), ParseError> {
        let end = self.bytes.len() - FINGERPRINT_BYTES;
        let mut offset = HEADER_BYTES;
        for _ in 0..ATTRIBUTES_MAX {
            let rest = self.bytes.get(offset..end).ok_or(ParseError::Length)?;
            if rest.is_empty() {
                return Ok(());
            }
            let (head, rest) = rest.split_first_chunk::<4>().ok_or(ParseError::Length)?;
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = rest.get(..length).ok_or(ParseError::Length)?;
            if self.integrity.is_none() {
                self.read_attribute(kind, value, offset)?;
            }
            offset += ATTRIBUTE_HEADER_BYTES + length.next_multiple_of(4);
        }
        Err(ParseError::Limit)
    }

    fn read_attribute(
        &mut self,
        kind: u16,
        value: &'a [u8],
        offset: usize,
    ) -> Result<(), ParseError> {
        match kind {
            attribute::USERNAME => {
                self.username.get_or_insert(value);
            }
            attribute::PRIORITY => {
                let value = u32::from_be_bytes(exactly(value)?);
                self.priority.get_or_insert(value);
            }
            attribute::USE_CANDIDATE => {
                exactly::<0>(value)?;
                self.use_candidate = true;
            }
            attribute::ICE_CONTROLLED => {
                exactly::<8>(value)?;
                self.role.get_or_insert(Role::Controlled);
            }
            attribute::ICE_CONTROLLING => {
                exactly::<8>(value)?;
                self.role.get_or_insert(Role::Controlling);
            }
            attribute::MESSAGE_INTEGRITY => {
                let value = value.try_into().map_err(|_| ParseError::Length)?;
                self.integrity = Some((offset, value));
            }
            attribute::XOR_MAPPED_ADDRESS => {
                let address = read_xor_address(value, &self.transaction)?;
                self.mapped.get_or_insert(address);
            }
            attribute::ERROR_CODE => {
                let [_, _, class, number] = *value.first_chunk().ok_or(ParseError::Length)?;
                let code = u16::from(class & 7) * 100 + u16::from(number);
                self.error.get_or_insert(code);
            }
            // A FINGERPRINT that is not the last attribute.
            attribute::FINGERPRINT => return Err(ParseError::Value),
            unknown if unknown < attribute::COMPREHENSION_OPTIONAL => {
                if let Some(place) = self.unknown.get_mut(self.unknown_len) {
                    *place = unknown;
                    self.unknown_len += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks MESSAGE-INTEGRITY with the receiver's password, in constant time.
    ///
    /// # Errors
    ///
    /// [`ParseError::Integrity`] when the attribute is missing or made with another key.
    pub fn verify(&self, key: &Key) -> Result<(), ParseError> {
        let (offset, tag) = self.integrity.ok_or(ParseError::Integrity)?;
        let covered = self.bytes.get(..offset).ok_or(ParseError::Integrity)?;
        let mac = key.mac(covered)?;
        mac.verify_slice(tag).map_err(|_| ParseError::Integrity)
    }

    /// Request, indication or response.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// To be repeated in the response.
    #[must_use]
    pub const fn transaction(&self) -> &TransactionId {
        &self.transaction
    }

    /// USERNAME split at its first colon: the receiver's fragment and the sender's
    /// (RFC 8445 §7.2.2). `None` when it is missing, has no colon or is not ASCII.
    #[must_use]
    pub fn ufrags(&self) -> Option<(&'a str, &'a str)> {
        let username = self.username.filter(|name| name.is_ascii())?;
        core::str::from_utf8(username).ok()?.split_once(':')
    }

    /// PRIORITY of the candidate that a check from here would make.
    #[must_use]
    pub const fn priority(&self) -> Option<u32> {
        self.priority
    }

    /// Whether the sender nominates this path.
    #[must_use]
    pub const fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// What the sender thinks that it is; `None` when it does not say.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// XOR-MAPPED-ADDRESS of a success response.
    #[must_use]
    pub const fn mapped_address(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// The number of an error response, e.g. 487.
    #[must_use]
    pub const fn error_code(&self) -> Option<u16> {
        self.error
    }

    /// Comprehension-required attributes that are not understood; the first eight of them.
    #[must_use]
    pub fn unknown_attributes(&self) -> &[u16] {
        self.unknown.get(..self.unknown_len).unwrap_or_default()
    }
}

/// Checks that the last attribute is a FINGERPRINT and right (RFC 8489 §14.7).
fn check_fingerprint(bytes: &[u8]) -> Result<(), ParseError> {
    let (covered, last) = bytes
        .split_last_chunk::<FINGERPRINT_BYTES>()
        .filter(|(covered, _)| covered.len() >= HEADER_BYTES)
        .ok_or(ParseError::TooShort)?;
    let [t0, t1, l0, l1, value @ ..] = *last;
    if u16::from_be_bytes([t0, t1]) != attribute::FINGERPRINT || [l0, l1] != [0, 4] {
        return Err(ParseError::Value);
    }
    if u32::from_be_bytes(value) != CRC.checksum(covered) ^ FINGERPRINT_XOR {
        return Err(ParseError::Integrity);
    }
    Ok(())
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], ParseError> {
    value.try_into().map_err(|_| ParseError::Length)
}

fn read_xor_address(value: &[u8], transaction: &TransactionId) -> Result<SocketAddr, ParseError> {
    let ([_, family, p0, p1], address) = value.split_first_chunk().ok_or(ParseError::Length)?;
    let port = u16::from_be_bytes([p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]]);
    let ip = match family {
        1 => IpAddr::from(xor(exactly::<4>(address)?, transaction)),
        2 => IpAddr::from(xor(exactly::<16>(address)?, transaction)),
        _ => return Err(ParseError::Value),
    };
    Ok(SocketAddr::new(ip, port))
}

/// XORs an address with the magic cookie and the transaction id (RFC 8489 §14.2).
fn xor<const N: usize>(mut address: [u8; N], transaction: &TransactionId) -> [u8; N] {
    let mask = MAGIC_COOKIE.iter().chain(transaction);
    for (byte, mask) in address.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    address
}

/// Writes one message into a buffer of the caller's; a buffer that is too small shows at the
/// end, as [`ParseError::Limit`].
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    /// Bytes written so far; beyond `out.len()` once something did not fit.
    len: usize,
    transaction: TransactionId,
}

impl<'a> Writer<'a> {
    /// Starts a Binding message.
    #[must_use]
    pub fn new(out: &'a mut [u8], class: Class, transaction: &TransactionId) -> Self {
        let mut writer = Self {
            out,
            len: 0,
            transaction: *transaction,
        };
        writer.put(&class.message_type().to_be_bytes());
        writer.put(&[0; 2]);
        writer.put(&MAGIC_COOKIE);
        writer.put(transaction);
        writer
    }

    /// USERNAME of a request: the receiver's fragment, a colon, the sender's.
    #[must_use]
    pub fn username(mut self, theirs: &str, ours: &str) -> Self {
        self.attribute(
            attribute::USERNAME,
            &[theirs.as_bytes(), b":", ours.as_bytes()],
        );
        self
    }

    /// PRIORITY of a request.
    #[must_use]
    pub fn priority(mut self, priority: u32) -> Self {
        self.attribute(attribute::PRIORITY, &[&priority.to_be_bytes()]);
        self
    }

    /// USE-CANDIDATE of a request: nominates the path.
    #[must_use]
    pub fn use_candidate(mut self) -> Self {
        self.attribute(attribute::USE_CANDIDATE, &[]);
        self
    }

    /// The sender's role and its tie-breaker.
    #[must_use]
    pub fn role(mut self, role: Role, tie_breaker: u64) -> Self {
        let kind = match role {
            Role::Controlling => attribute::ICE_CONTROLLING,
            Role::Controlled => attribute::ICE_CONTROLLED,
        };
        self.attribute(kind, &[&tie_breaker.to_be_bytes()]);
        self
    }

    /// XOR-MAPPED-ADDRESS of a success response: where the request came from.
    #[must_use]
    pub fn mapped_address(mut self, address: SocketAddr) -> Self {
        let [p0, p1] = address.port().to_be_bytes();
        let port = [p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]];
        let transaction = self.transaction;
        match address.ip() {
            IpAddr::V4(ip) => self.attribute(
                attribute::XOR_MAPPED_ADDRESS,
                &[&[0, 1], &port, &xor(ip.octets(), &transaction)],
            ),
            IpAddr::V6(ip) => self.attribute(
                attribute::XOR_MAPPED_ADDRESS,
                &[&[0, 2], &port, &xor(ip.octets(), &transaction)],
            ),
        }
        self
    }

    /// ERROR-CODE of an error response. The reason phrase is left empty: it is for people, and
    /// every byte of a reply is one that an attacker may have bought cheaply.
    #[must_use]
    pub fn error(mut self, code: ErrorCode) -> Self {
        let number = code.number();
        // Both parts fit: 4 and 87 at most.
        let value = [0, 0, (number / 100) as u8, (number % 100) as u8];
        self.attribute(attribute::ERROR_CODE, &[&value]);
        self
    }

    /// UNKNOWN-ATTRIBUTES of a 420 response; the first eight are written.
    #[must_use]
    pub fn unknown_attributes(mut self, attributes: &[u16]) -> Self {
        let mut value = [0; 2 * UNKNOWN_MAX];
        let count = attributes.len().min(UNKNOWN_MAX);
        for (place, kind) in value.chunks_exact_mut(2).zip(attributes) {
            place.copy_from_slice(&kind.to_be_bytes());
        }
        let value = value.get(..2 * count).unwrap_or_default();
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &[value]);
        self
    }

    /// Adds MESSAGE-INTEGRITY and FINGERPRINT. Returns the length of the message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Limit`]: the buffer is too small.
    pub fn finish(mut self, key: &Key) -> Result<usize, ParseError> {
        let covered = self.out.get(..self.len).ok_or(ParseError::Limit)?;
        let tag = key.mac(covered)?.finalize().into_bytes();
        self.attribute(attribute::MESSAGE_INTEGRITY, &[&tag]);
        self.set_length(self.len + FINGERPRINT_BYTES)?;
        let covered = self.out.get(..self.len).ok_or(ParseError::Limit)?;
        let crc = CRC.checksum(covered) ^ FINGERPRINT_XOR;
        self.attribute(attribute::FINGERPRINT, &[&crc.to_be_bytes()]);
        if self.len > self.out.len() {
            return Err(ParseError::Limit);
        }
        Ok(self.len)
    }

    fn set_length(&mut self, total: usize) -> Result<(), ParseError> {
        let length = u16::try_from(total - HEADER_BYTES).map_err(|_| ParseError::Limit)?;
        let place = self.out.get_mut(2..4).ok_or(ParseError::Limit)?;
        place.copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn attribute(&mut self, kind: u16, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.put(&kind.to_be_bytes());
        self.put(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        for part in parts {
            self.put(part);
        }
        let padding = length.next_multiple_of(4) - length;
        self.put([0; 3].get(..padding).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(place) = self.out.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
        }
        self.len = end;
    }
}

/// Fuzz body: parses anything, and what parses must survive being asked everything.
pub fn fuzz(data: &[u8]) {
    if let Ok(message) = Message::parse(data) {
        let _ = message.ufrags();
        let _ = message.verify(&Key::new("password"));
        assert!(message.unknown_attributes().len() <= UNKNOWN_MAX);
        assert_eq!(
            data.get(8..HEADER_BYTES),
            Some(message.transaction().as_slice())
        );
    }
}
