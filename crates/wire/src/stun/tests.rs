use rtc_stun::attributes::ATTR_USERNAME;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Setter};
use rtc_stun::textattrs::TextAttribute;
use rtc_stun::xoraddr::XorMappedAddress;

use super::*;

/// Password of the vectors in RFC 5769.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

const TRANSACTION: TransactionId = [
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
];

/// RFC 5769 §2.1.
const REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\
    \xfa\x87\xdf\xae\x80\x22\x00\x10\x53\x54\x55\x4e\x20\x74\x65\x73\x74\x20\x63\x6c\x69\x65\
    \x6e\x74\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\x00\x08\x00\x14\x9a\xea\
    \xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\x80\x28\x00\x04\
    \xe5\x7a\x3b\xcf";

/// RFC 5769 §2.2.
const RESPONSE_V4: &[u8] = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\
    \xfa\x87\xdf\xae\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20\x00\x20\
    \x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\
    \x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// RFC 5769 §2.3.
const RESPONSE_V6: &[u8] = b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\
    \xfa\x87\xdf\xae\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20\x00\x20\
    \x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
    \x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\
    \xed\x41\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

#[test]
fn request_of_rfc_5769_is_read_and_verified() {
    let message = Message::parse(REQUEST).unwrap();
    assert_eq!(message.class(), Class::Request);
    assert_eq!(message.transaction(), &TRANSACTION);
    assert_eq!(message.ufrags(), Some(("evtj", "h6vY")));
    assert_eq!(message.priority(), Some(0x6e00_01ff));
    assert_eq!(message.role(), Some(Role::Controlled));
    assert!(!message.use_candidate());
    assert_eq!(message.verify(&Key::new(PASSWORD)), Ok(()));
    let other = Key::new("VOkJxbRl1RmTxUk/WvJxBT");
    assert_eq!(message.verify(&other), Err(ParseError::Integrity));
}

#[test]
fn responses_of_rfc_5769_are_read_and_verified() {
    for (bytes, address) in [
        (RESPONSE_V4, "192.0.2.1:32853"),
        (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let message = Message::parse(bytes).unwrap();
        assert_eq!(message.class(), Class::Success);
        assert_eq!(message.mapped_address(), Some(address.parse().unwrap()));
        assert_eq!(message.verify(&Key::new(PASSWORD)), Ok(()));
    }
}

/// Every single flipped bit is noticed without the key, by FINGERPRINT or by structure.
#[test]
fn any_flipped_bit_is_refused() {
    for bit in 0..REQUEST.len() * 8 {
        let mut bytes = REQUEST.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Message::parse(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn any_truncation_or_extension_is_refused() {
    for length in 0..REQUEST.len() {
        assert!(Message::parse(&REQUEST[..length]).is_err(), "{length}");
    }
    for extra in 1..8 {
        let mut bytes = REQUEST.to_vec();
        bytes.resize(REQUEST.len() + extra, 0);
        assert!(Message::parse(&bytes).is_err(), "{extra}");
    }
}

/// A message of any attributes, with right length and FINGERPRINT.
fn sealed(attributes: &[u8]) -> Vec<u8> {
    let mut bytes = REQUEST[..HEADER_BYTES].to_vec();
    bytes.extend_from_slice(attributes);
    let length = u16::try_from(attributes.len() + FINGERPRINT_BYTES).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let crc = CRC.checksum(&bytes) ^ FINGERPRINT_XOR;
    bytes.extend_from_slice(&[0x80, 0x28, 0, 4]);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn attributes_of_wrong_shape_are_refused() {
    let cases: [(&[u8], ParseError); 9] = [
        (b"\x00\x24\x00\x03\x01\x02\x03\x00", ParseError::Length),
        (b"\x00\x25\x00\x04\x00\x00\x00\x00", ParseError::Length),
        (b"\x80\x29\x00\x04\x00\x00\x00\x00", ParseError::Length),
        (b"\x00\x08\x00\x04\x00\x00\x00\x00", ParseError::Length),
        (b"\x00\x20\x00\x00", ParseError::Length),
        (b"\x00\x20\x00\x08\x00\x03\0\0\0\0\0\0", ParseError::Value),
        (b"\x00\x20\x00\x08\x00\x02\0\0\0\0\0\0", ParseError::Length),
        (b"\x00\x06\x00\x40\x00\x00\x00\x00", ParseError::Length),
        (b"\x80\x28\x00\x04\x00\x00\x00\x00", ParseError::Value),
    ];
    for (attributes, error) in cases {
        let bytes = sealed(attributes);
        assert_eq!(
            Message::parse(&bytes).map(|_| ()),
            Err(error),
            "{attributes:x?}"
        );
    }
}

#[test]
fn number_of_attributes_is_limited() {
    let attribute = [0x80, 0x22, 0, 0];
    let parse = |count| Message::parse(&sealed(&attribute.repeat(count))).map(|_| ());
    assert_eq!(parse(ATTRIBUTES_MAX - 1), Ok(()));
    assert_eq!(parse(ATTRIBUTES_MAX), Err(ParseError::Limit));
}

#[test]
fn unknown_required_attributes_are_reported_and_optional_ones_skipped() {
    let bytes = sealed(b"\x7f\x01\x00\x00\xff\x02\x00\x00\x00\x0c\x00\x01x\0\0\0");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.unknown_attributes(), [0x7f01, 0x000c]);
    let many = sealed(&b"\x7f\x01\x00\x00".repeat(20));
    let message = Message::parse(&many).unwrap();
    assert_eq!(message.unknown_attributes(), [0x7f01; UNKNOWN_MAX]);
}

#[test]
fn attributes_after_integrity_are_not_believed() {
    let key = Key::new(PASSWORD);
    let mut out = [0; 200];
    let len = Writer::new(&mut out, Class::Request, &TRANSACTION)
        .username("evtj", "h6vY")
        .finish(&key)
        .unwrap();
    let mut attributes = out[HEADER_BYTES..len - FINGERPRINT_BYTES].to_vec();
    attributes.extend_from_slice(b"\x00\x25\x00\x00");
    let bytes = sealed(&attributes);
    let message = Message::parse(&bytes).unwrap();
    assert!(!message.use_candidate());
}

#[test]
fn what_is_written_is_read_back() {
    let key = Key::new("a password of some length");
    let mut out = [0; 256];
    let len = Writer::new(&mut out, Class::Request, &TRANSACTION)
        .username("ours", "theirs")
        .priority(7)
        .role(Role::Controlling, u64::MAX)
        .use_candidate()
        .finish(&key)
        .unwrap();
    let message = Message::parse(&out[..len]).unwrap();
    assert_eq!(message.verify(&key), Ok(()));
    assert_eq!(message.ufrags(), Some(("ours", "theirs")));
    assert_eq!(message.priority(), Some(7));
    assert_eq!(message.role(), Some(Role::Controlling));
    assert!(message.use_candidate());

    let len = Writer::new(&mut out, Class::Error, &TRANSACTION)
        .error(ErrorCode::RoleConflict)
        .unknown_attributes(&[1, 2, 3])
        .finish(&key)
        .unwrap();
    let message = Message::parse(&out[..len]).unwrap();
    assert_eq!(message.error_code(), Some(487));
    assert!(len <= REPLY_BYTES_MAX);
}

#[test]
fn a_small_buffer_is_an_error_at_every_length() {
    let key = Key::new(PASSWORD);
    let write = |room: usize| {
        let mut out = vec![0; room];
        Writer::new(&mut out, Class::Request, &TRANSACTION)
            .username("evtj", "h6vY")
            .priority(1)
            .finish(&key)
    };
    let needed = write(200).unwrap();
    for room in 0..needed {
        assert_eq!(write(room), Err(ParseError::Limit), "{room}");
    }
    assert_eq!(write(needed), Ok(needed));
}

#[test]
fn a_request_of_rtc_stun_is_read_and_verified() {
    let provider = rtc_stun::crypto::default_provider().unwrap();
    let mut theirs = rtc_stun::message::Message::new();
    let name = TextAttribute::new(ATTR_USERNAME, "abcd:efgh".to_owned());
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
        PASSWORD.to_owned(),
        provider.crypto(),
    );
    theirs.set_type(BINDING_REQUEST);
    theirs.new_transaction_id().unwrap();
    theirs.write_header();
    name.add_to(&mut theirs).unwrap();
    integrity.add_to(&mut theirs).unwrap();
    FINGERPRINT.add_to(&mut theirs).unwrap();

    let message = Message::parse(&theirs.raw).unwrap();
    assert_eq!(message.ufrags(), Some(("abcd", "efgh")));
    assert_eq!(message.verify(&Key::new(PASSWORD)), Ok(()));
}

#[test]
fn a_response_of_ours_is_read_and_verified_by_rtc_stun() {
    use rtc_stun::message::Getter;
    let provider = rtc_stun::crypto::default_provider().unwrap();
    for address in ["192.0.2.7:443", "[2001:db8::7]:9"] {
        let address: SocketAddr = address.parse().unwrap();
        let mut out = [0; REPLY_BYTES_MAX];
        let len = Writer::new(&mut out, Class::Success, &TRANSACTION)
            .mapped_address(address)
            .finish(&Key::new(PASSWORD))
            .unwrap();

        let mut theirs = rtc_stun::message::Message::new();
        theirs.unmarshal_binary(&out[..len]).unwrap();
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&theirs).unwrap();
        assert_eq!(SocketAddr::new(mapped.ip, mapped.port), address);
        FINGERPRINT.check(&theirs).unwrap();
        MessageIntegrity::check(&mut theirs, PASSWORD.as_bytes(), provider.crypto()).unwrap();
    }
}

#[test]
fn fuzz_body_takes_anything() {
    for seed in [REQUEST, RESPONSE_V4, RESPONSE_V6] {
        for length in 0..=seed.len() {
            fuzz(&seed[..length]);
        }
        for index in 0..seed.len() {
            for value in 0..=u8::MAX {
                let mut bytes = seed.to_vec();
                bytes[index] = value;
                fuzz(&bytes);
                // The same with a FINGERPRINT that is right again, so that the depths are reached.
                let end = bytes.len() - FINGERPRINT_BYTES;
                fuzz(&sealed(&bytes[HEADER_BYTES..end]));
            }
        }
    }
}
