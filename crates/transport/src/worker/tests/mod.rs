//! What a worker does with peers, step by step in virtual time.

mod bench;
mod forgery;
mod sweep;

use std::time::Duration;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::SessionId;
use crosspoint_wire::stun::Role;

use self::bench::{Bench, path};
use crate::api::{CloseReason, Command, DataChannelKind, Event};
use crate::dtls::DtlsIdentity;
use crate::srtp::Profile;
use crate::testing::Peer;

/// What the events say about transports, in short.
fn told(bench: &mut Bench) -> Vec<(u64, &'static str)> {
    let short = |event: Event| {
        Some(match event {
            Event::Connected { session, .. } => (session.0, "connected"),
            Event::Interrupted {
                session,
                interrupted,
            } => {
                let what = if interrupted {
                    "interrupted"
                } else {
                    "restored"
                };
                (session.0, what)
            }
            Event::Closed { session, reason } => (session.0, reason.label()),
            _ => return None,
        })
    };
    bench.events().into_iter().filter_map(short).collect()
}

#[test]
fn two_sessions_hear_each_other() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    assert_eq!(told(&mut bench), [(1, "connected"), (2, "connected")]);
    for _ in 0..3 {
        bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
        bench.talk((&mut bob, path(2)), (&mut alice, path(1)));
    }
}

#[test]
fn aead_is_taken_when_the_peer_has_it() {
    for (profiles, expected) in [
        (
            &[Profile::Aes128CmSha1, Profile::AeadAes128Gcm][..],
            "AEAD_AES_128_GCM",
        ),
        (&[Profile::Aes128CmSha1], "AES_CM_128_HMAC_SHA1_80"),
    ] {
        let mut bench = Bench::new();
        let mut peer = Peer::with_profiles(bench.instant(), 1, profiles);
        bench.open(&peer);
        bench.connect(&mut peer, path(1));
        let profile = bench.events().into_iter().find_map(|event| match event {
            Event::Connected { srtp_profile, .. } => Some(srtp_profile),
            _ => None,
        });
        assert_eq!(profile, Some(expected));
    }
}

#[test]
fn dtls_is_answered_before_nomination() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    bench.check(&mut peer, path(1), false);
    assert!(bench.shake(&mut peer, path(1)));
    assert!(peer.inbox.dtls > 0);
    bench.finish_handshake(&mut peer, path(1));
}

#[test]
fn a_handshake_is_answered_where_it_came_from() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    bench.check(&mut peer, path(1), true);
    bench.check(&mut peer, path(2), false);
    // `deliver` asserts the destination.
    bench.finish_handshake(&mut peer, path(2));
}

#[test]
fn media_follows_the_last_nomination_and_is_taken_from_every_proved_path() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
    bench.check(&mut bob, path(3), false);
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
    bench.talk((&mut bob, path(3)), (&mut alice, path(1)));
    bench.check(&mut bob, path(3), true);
    bench.talk((&mut alice, path(1)), (&mut bob, path(3)));
    bench.talk((&mut bob, path(2)), (&mut alice, path(1)));
}

#[test]
fn media_flows_on_through_an_ice_restart() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    let restart = bob.restart_command();
    bench.command(restart);
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
    bench.check(&mut bob, path(3), true);
    assert_eq!(bob.inbox.checks_answered, 2);
    bench.talk((&mut alice, path(1)), (&mut bob, path(3)));
    assert_eq!(told(&mut bench).len(), 2, "connected twice, nothing else");
}

#[test]
fn a_controlled_peer_is_told_to_control() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    let check = peer.check_as(true, Role::Controlled);
    let sent = bench.feed(path(1), &check);
    bench.deliver(&mut peer, path(1), sent);
    assert_eq!(peer.inbox.check_errors, [487]);
    // The path is not proved by that.
    assert!(bench.shake(&mut peer, path(1)));
    assert_eq!(peer.inbox.dtls, 0);
}

#[test]
fn silence_interrupts_and_then_ends_a_session() {
    let mut bench = Bench::new();
    let mut peer = bench.connected(1, path(1));
    bench.check(&mut peer, path(1), true);
    told(&mut bench);
    bench.advance(Duration::from_millis(4900));
    assert_eq!(told(&mut bench), []);
    bench.advance(Duration::from_millis(200));
    assert_eq!(told(&mut bench), [(1, "interrupted")]);
    bench.check(&mut peer, path(1), true);
    assert_eq!(told(&mut bench), [(1, "restored")]);
    // That check came 5 s after the one before, so the next one is not missed before 10 s.
    bench.advance(Duration::from_millis(9900));
    assert_eq!(told(&mut bench), []);
    bench.advance(Duration::from_millis(5000));
    assert_eq!(told(&mut bench), [(1, "interrupted")]);
    bench.advance(Duration::from_millis(200));
    assert_eq!(told(&mut bench), [(1, "consent_expired")]);
    let report = bench.report();
    assert_eq!((report.sessions, report.tracks), (0, 0));
}

#[test]
fn media_is_a_sign_of_life_but_no_consent() {
    let mut bench = Bench::new();
    let mut peer = bench.connected(1, path(1));
    told(&mut bench);
    for second in 0..14 {
        bench.say(&mut peer, path(1), b"still here");
        bench.advance(Duration::from_secs(1));
        assert_eq!(told(&mut bench), [], "{second}");
    }
    bench.say(&mut peer, path(1), b"still here");
    bench.advance(Duration::from_millis(1100));
    assert_eq!(told(&mut bench), [(1, "consent_expired")]);
}

#[test]
fn a_session_that_does_not_come_up_is_closed() {
    let mut bench = Bench::new();
    let mut silent = bench.peer(1);
    bench.advance(Duration::from_secs(29));
    assert_eq!(told(&mut bench), []);
    bench.advance(Duration::from_secs(2));
    assert_eq!(told(&mut bench), [(1, "connect_timeout")]);
    let check = silent.check(true);
    assert_eq!(bench.feed(path(1), &check), []);
}

#[test]
fn a_handshake_that_stops_half_way_is_closed() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    bench.check(&mut peer, path(1), true);
    let hello = peer.poll_dtls(bench.instant()).unwrap();
    assert_ne!(bench.feed(path(1), &hello), []);
    bench.advance(Duration::from_secs(31));
    assert_eq!(told(&mut bench), [(1, "connect_timeout")]);
}

#[test]
fn a_certificate_of_another_peer_ends_the_session_without_keys() {
    let mut bench = Bench::new();
    let mut peer = bench.stranger(1);
    let other = DtlsIdentity::generate().unwrap();
    bench.command(peer.open_command_with(other.fingerprint().clone()));
    for command in peer.media_commands() {
        bench.command(command);
    }
    bench.check(&mut peer, path(1), true);
    while bench.shake(&mut peer, path(1)) {}
    let events = bench.events();
    assert!(
        matches!(
            events[..],
            [Event::Closed {
                session: SessionId(1),
                reason: CloseReason::FingerprintMismatch
            }]
        ),
        "{events:?}"
    );
    assert_eq!(bench.report().sessions, 0);
}

#[test]
fn a_peer_that_says_goodbye_is_closed() {
    let mut bench = Bench::new();
    let mut peer = bench.connected(1, path(1));
    told(&mut bench);
    let now = bench.instant();
    peer.close(now);
    bench.shake(&mut peer, path(1));
    assert_eq!(told(&mut bench), [(1, "peer_closed")]);
}

#[test]
fn closing_a_session_tells_the_peer_and_forgets_it() {
    let mut bench = Bench::new();
    let mut peer = bench.connected(1, path(1));
    told(&mut bench);
    let session = peer.id;
    let sent = bench.command(Command::CloseSession { session });
    bench.deliver(&mut peer, path(1), sent);
    assert!(peer.is_closed());
    assert_eq!(told(&mut bench), [], "control knows");
    let check = peer.check(true);
    assert_eq!(bench.feed(path(1), &check), []);
    let report = bench.report();
    assert_eq!((report.sessions, report.tracks), (0, 0));
}

/// Lets DTLS records go to and fro until there are none.
fn exchange(bench: &mut Bench, peer: &mut Peer) {
    for _ in 0..50 {
        let sent = bench.advance(Duration::from_millis(10));
        bench.deliver(peer, path(1), sent);
        bench.shake(peer, path(1));
    }
}

#[test]
fn messages_pass_both_ways_on_a_data_channel() {
    let mut bench = Bench::new();
    let mut peer = bench.connected(1, path(1));
    bench.check(&mut peer, path(1), true);
    let message = |text: &'static str| Command::SendData {
        session: SessionId(1),
        channel: DataChannelKind::Reliable,
        payload: text.into(),
        text: true,
    };
    bench.command(message("too early"));
    assert_eq!(bench.counter("data_unsendable"), 1);

    peer.start_data(bench.instant());
    exchange(&mut bench, &mut peer);
    peer.open_channel(bench.instant());
    exchange(&mut bench, &mut peer);
    peer.send_text(bench.instant(), "hello server");
    let sent = bench.command(message("hello browser"));
    bench.deliver(&mut peer, path(1), sent);
    exchange(&mut bench, &mut peer);

    assert_eq!(peer.texts(), ["hello browser"]);
    let events: Vec<_> = bench.events().into_iter().filter_map(data_event).collect();
    assert_eq!(events, ["open", "hello server"]);
}

fn data_event(event: Event) -> Option<String> {
    match event {
        Event::DataOpen { .. } => Some("open".to_owned()),
        Event::Data { payload, text, .. } => {
            assert!(text);
            Some(String::from_utf8(payload.into()).unwrap())
        }
        _ => None,
    }
}

#[test]
fn counters_have_names_of_their_own() {
    let mut bench = Bench::new();
    let counters = bench.report().counters;
    let names: std::collections::BTreeSet<_> = counters.iter().map(|it| it.0).collect();
    assert_eq!(names.len(), counters.len());
}

#[test]
fn a_session_that_never_got_media_can_be_closed_twice() {
    let mut bench = Bench::new();
    let peer = bench.stranger(1);
    bench.command(peer.open_command());
    let session = peer.id;
    bench.command(Command::CloseSession { session });
    bench.command(Command::CloseSession { session });
    bench.command(Command::CloseSession {
        session: SessionId(77),
    });
    assert_eq!(bench.core.footprint(), (0, 0, 0));
}

#[test]
fn removing_a_session_from_the_engine_closes_its_transport() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let remove = MediaCommand::RemoveSession { session: alice.id };
    let sent = bench.command(Command::Media(remove, None));
    bench.deliver(&mut alice, path(1), sent);
    assert!(alice.is_closed());
    // The key is free for somebody else.
    let mut bob = bench.connected(2, path(2));
    let mut carol = bench.connected(3, path(3));
    bench.talk((&mut bob, path(2)), (&mut carol, path(3)));
}

#[test]
fn a_path_in_use_cannot_be_taken_by_a_check_of_another_session() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    let forged = bob.check(true);
    assert_eq!(bench.feed(path(1), &forged), []);
    assert_eq!(bench.counter("stun_path_taken"), 1);
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
    bench.talk((&mut bob, path(2)), (&mut alice, path(1)));
}

#[test]
fn an_address_whose_session_fell_silent_may_be_used_again() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    bench.advance(Duration::from_secs(8));
    let mut bob = bench.connected(2, path(2));
    let mut carol = bench.connected(3, path(1));
    bench.talk((&mut carol, path(1)), (&mut bob, path(2)));
    // The first owner has no path until it proves one.
    let packet = alice.audio(b"who am I?");
    assert_eq!(bench.feed(path(1), &packet), []);
    bench.check(&mut alice, path(4), true);
    assert_eq!(alice.inbox.checks_answered, 2);
}

#[test]
fn three_hundred_sessions_come_and_go_and_leave_nothing() {
    let mut bench = Bench::new();
    for id in 1..=300 {
        let mut peer = bench.connected(id, path(id as u16));
        bench.say(&mut peer, path(id as u16), b"hello");
        let session = peer.id;
        bench.command(Command::CloseSession { session });
    }
    let report = bench.report();
    assert_eq!((report.sessions, report.tracks), (0, 0));
    assert_eq!(bench.core.footprint(), (0, 0, 0));
    assert_eq!(bench.counter("sessions_connected"), 300);
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    for id in 2..=20 {
        bench.connected(id, path(id as u16));
    }
    let mut packets = move |bench: &mut Bench, count: u32| {
        let before = bench.counter("srtp_sent");
        let mut allocated = 0;
        for _ in 0..count {
            bench.now += Duration::from_millis(20);
            let mut packet = alice.audio(&[7; 160]);
            let forward = || bench.forward(path(1), &mut packet);
            allocated += allocation_counter::measure(forward).count_total;
        }
        (allocated, bench.counter("srtp_sent") - before)
    };
    // Caches and queues grow to what a second of media takes.
    packets(&mut bench, 100);
    assert_eq!(packets(&mut bench, 100), (0, 1900));
}
