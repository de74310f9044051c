//! Datagrams of people who know everything but the secrets: nothing is answered, nothing changes.

use crosspoint_wire::stun::{Class, Key, Role, TransactionId, Writer};

use super::bench::{Bench, path};
use crate::path::Path;
use crate::testing::Peer;

const TRANSACTION: TransactionId = [3; 12];

/// Checks that must not be answered, by name.
fn bad_checks(peer: &mut Peer) -> Vec<(String, Vec<u8>)> {
    let good = peer.check(true);
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| bad.push((name.to_owned(), bytes));
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };

    add("empty", vec![]);
    add("one byte", vec![0]);
    add("header only", good[..20].to_vec());
    add("half", good[..good.len() / 2].to_vec());
    add("without its last byte", good[..good.len() - 1].to_vec());
    add("without FINGERPRINT", good[..good.len() - 8].to_vec());
    add("with a byte behind", [&good[..], &[0]].concat());
    add("with a word behind", [&good[..], &[0; 4]].concat());
    add("twice", good.repeat(2));
    add("first bits set", changed(0, 0x40));
    add("another method", changed(1, 0x03));
    add("length 0", changed(3, 0));
    add("length larger", changed(2, 0xff));
    add("length odd", changed(3, good[3] | 1));
    add("no magic cookie", changed(4, 0));
    add("another transaction", changed(12, !good[12]));
    add(
        "another FINGERPRINT",
        changed(good.len() - 1, !good[good.len() - 1]),
    );
    let tag = good.len() - 8 - 20;
    for at in [tag, tag + 10, tag + 19] {
        add("another tag", changed(at, !good[at]));
        add("another tag, sealed", sealed(&changed(at, !good[at])));
    }
    for at in (20..tag).step_by(5) {
        let bytes = sealed(&changed(at, !good[at]));
        add(&format!("byte {at} changed, sealed"), bytes);
    }

    let (server, own) = (peer.server.clone(), peer.own.clone());
    let key = Key::new(&server.pwd);
    let write = |class, ours: &str, theirs: &str, key: &Key| {
        let mut out = [0; 700];
        let len = Writer::new(&mut out, class, &TRANSACTION)
            .username(ours, theirs)
            .priority(1)
            .role(Role::Controlling, 1)
            .use_candidate()
            .finish(key)
            .unwrap();
        out[..len].to_vec()
    };
    for pwd in ["", "password", &own.pwd, &server.pwd[1..], &server.ufrag] {
        let bytes = write(Class::Request, &server.ufrag, &own.ufrag, &Key::new(pwd));
        add(&format!("password {pwd:?}"), bytes);
    }
    let long = "x".repeat(256);
    for (ours, theirs) in [
        (own.ufrag.as_str(), server.ufrag.as_str()),
        (&server.ufrag, ""),
        (&server.ufrag, "other"),
        (&server.ufrag, &long),
        (&server.ufrag, &format!("{}:", own.ufrag)),
        ("", &own.ufrag),
        ("other", &own.ufrag),
        (&long, &long),
        (&server.ufrag.to_uppercase(), &own.ufrag),
        (&format!("{} ", server.ufrag), &own.ufrag),
        ("\u{e4}\u{f6}", &own.ufrag),
        ("\0", "\0"),
    ] {
        let bytes = write(Class::Request, ours, theirs, &key);
        add(&format!("user {ours:?} {theirs:?}"), bytes);
    }
    for class in [Class::Indication, Class::Success, Class::Error] {
        let bytes = write(class, &server.ufrag, &own.ufrag, &key);
        add(&format!("{class:?}"), bytes);
    }
    // Without a name; without integrity.
    let mut out = [0; 200];
    let len = Writer::new(&mut out, Class::Request, &TRANSACTION)
        .priority(1)
        .finish(&key)
        .unwrap();
    add("without USERNAME", out[..len].to_vec());
    let mut naked = good[..tag - 4].to_vec();
    naked.extend_from_slice(&[0; 8]);
    add("without MESSAGE-INTEGRITY", sealed(&naked));
    let mut short = good[..tag].to_vec();
    short[tag - 1] = 4;
    short.extend_from_slice(&good[tag..tag + 4]);
    short.extend_from_slice(&[0; 8]);
    add("with MESSAGE-INTEGRITY of 4 bytes", sealed(&short));
    bad
}

/// Makes length and FINGERPRINT right again, so that what is behind them is reached.
fn sealed(message: &[u8]) -> Vec<u8> {
    let mut bytes = message[..message.len() - 8].to_vec();
    let length = u16::try_from(message.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let mut crc = !0u32;
    for byte in &bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    bytes.extend_from_slice(&[0x80, 0x28, 0, 4]);
    bytes.extend_from_slice(&(!crc ^ 0x5354_554e).to_be_bytes());
    bytes
}

#[test]
fn a_sealed_copy_of_a_good_check_is_the_same() {
    let bench = Bench::new();
    let good = bench.stranger(1).check(true);
    assert_eq!(sealed(&good), good);
}

#[test]
fn no_bad_check_is_answered_or_opens_a_path() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    let bad = bad_checks(&mut peer);
    assert!(bad.len() >= 40, "{} vectors", bad.len());
    for (name, check) in &bad {
        assert_eq!(bench.feed(path(1), check), [], "{name}");
    }
    assert_eq!(bench.counter("stun_answered"), 0);
    assert_eq!(bench.counter("stun_role_or_attribute_errors"), 0);
    let hello = peer.poll_dtls(bench.instant()).unwrap();
    assert_eq!(bench.feed(path(1), &hello), []);
    assert_eq!(bench.counter("unproved_source"), 1);
    // And the real peer is not disturbed.
    let mut peer = bench.connected(2, path(1));
    bench.say(&mut peer, path(1), b"hello");
    assert_eq!(bench.counter("srtp_received"), 1);
}

#[test]
fn bad_checks_do_not_prolong_consent_or_move_media() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    for (name, check) in bad_checks(&mut bob) {
        for from in [path(2), path(66)] {
            assert_eq!(bench.feed(from, &check), [], "{name}");
        }
    }
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
    let start = bench.now;
    bench.check(&mut alice, path(1), true);
    while bench.now.since(start).as_secs() < 16 {
        for (_, check) in bad_checks(&mut bob).iter().step_by(7) {
            bench.feed(path(2), check);
        }
        bench.advance(std::time::Duration::from_secs(2));
        bench.check(&mut alice, path(1), true);
    }
    assert_eq!(bench.report().sessions, 1);
}

/// Everything that two connected peers and a third in its handshake would send, copied by
/// somebody at another address.
#[test]
fn what_comes_from_a_source_that_is_not_proved_changes_nothing() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    // Not in the room, so that only the other two hear each other.
    let mut carol = bench.stranger(3);
    bench.command(carol.open_command());
    bench.check(&mut carol, path(3), true);
    let forger: [Path; 2] = [path(66), path(3).on_another_link()];
    for _ in 0..3 {
        let audio = alice.audio(b"copied");
        let report = bob.receiver_report();
        let hello = carol.poll_dtls(bench.instant());
        for from in forger {
            for datagram in [&audio, &report].into_iter().chain(&hello) {
                assert_eq!(bench.feed(from, datagram), []);
            }
        }
        // The originals are not taken for replays, and the handshake is as fresh as it was.
        let sent = bench.feed(path(1), &audio);
        bench.deliver(&mut bob, path(2), sent);
        assert_eq!(bob.inbox.payloads.pop().as_deref(), Some(&b"copied"[..]));
        bench.feed(path(2), &report);
        if let Some(hello) = hello {
            let sent = bench.feed(path(3), &hello);
            bench.deliver(&mut carol, path(3), sent);
        }
    }
    bench.finish_handshake(&mut carol, path(3));
    assert_eq!(bench.counter("srtp_replayed"), 0);
    assert_eq!(bench.counter("srtcp_received"), 3);
}

#[test]
fn replayed_and_forged_packets_from_a_proved_source_are_dropped() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    let packet = alice.audio(b"once");
    let sent = bench.feed(path(1), &packet);
    bench.deliver(&mut bob, path(2), sent);
    assert_eq!(bench.feed(path(1), &packet), [], "replayed");
    for at in 0..packet.len() {
        let mut forged = alice.audio(b"next");
        forged[at] ^= 1;
        bench.feed(path(1), &forged);
    }
    assert_eq!(bob.inbox.payloads.len(), 1);
    assert_eq!(bench.counter("srtp_received"), 1);
    assert_eq!(bench.counter("rtp_received"), 1);
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
}
