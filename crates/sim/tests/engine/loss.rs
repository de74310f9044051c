//! Repair over lossy paths, in both directions at once.

use core::time::Duration;

use crosspoint_media::command::Command;
use crosspoint_media::config::{Policy, SessionId};
use crosspoint_sim::media::Stamp;
use crosspoint_sim::publisher::Names;
use crosspoint_sim::receiver::longest_freeze;
use crosspoint_sim::{LinkConfig, Loss, PeerConfig, World};
use crosspoint_wire::time::Time;

use crate::people::{CAMERA, MICROPHONE, mid, ms, publisher, seconds, viewer};

/// Camera and microphone of one publisher at one viewer.
struct Call {
    world: World,
    alice: usize,
    bob: usize,
}

impl Call {
    /// Both legs, and both directions of each, are like `leg`.
    fn new(seed: u64, leg: LinkConfig) -> Self {
        let mut world = World::new(seed);
        let with = |config| PeerConfig {
            up: leg,
            down: leg,
            ..config
        };
        let alice = world.join(with(publisher(Names::Declared, &[1_500_000])));
        let bob = world.join(with(viewer()));
        // This is about repair: the picture is not left out for what loss does to the estimate.
        world.command(Command::SetPolicy {
            session: SessionId(bob as u64 + 1),
            policy: Policy {
                audio_only: false,
                ..Policy::default()
            },
        });
        Self { world, alice, bob }
    }

    /// How many video packets were sent since the viewer's first one, and how many of them did
    /// not reach it within `playout` of being captured.
    fn residual(&self, playout: Duration) -> (usize, usize) {
        self.residual_of(CAMERA, "v0", Time::ZERO, playout)
    }

    /// The same of the packets of a track that were sent after `from`, at one slot.
    fn residual_of(
        &self,
        track: &str,
        slot: &str,
        from: Time,
        playout: Duration,
    ) -> (usize, usize) {
        let publisher = &self.world.peer(self.alice).publisher;
        let stream = publisher.stream_numbers(mid(track))[0];
        let log = &self.world.peer(self.bob).receiver.slot(slot).log;
        let arrivals = log.arrivals_of(stream);
        let first = arrivals.keys().min().copied().unwrap();
        let settled = self.world.now().since(Time::ZERO) - seconds(1);
        let sent = publisher.log.iter().filter(|(stamp, at)| {
            stamp.stream == stream
                && stamp.packet >= first
                && (from..Time::ZERO + settled).contains(at)
        });
        let missed = |stamp: &Stamp| {
            arrivals
                .get(&stamp.packet)
                .is_none_or(|&at| at > stamp.captured + playout)
        };
        let (mut all, mut lost) = (0, 0);
        for (stamp, _) in sent {
            all += 1;
            lost += usize::from(missed(stamp));
        }
        (all, lost)
    }
}

/// Issue "First call", show 4: 10 % random loss on each leg, both directions of it, at 50 ms
/// round trip; less than 0.1 % may be missing when it is played 400 ms after capture.
#[test]
fn ten_percent_loss_on_each_leg_leaves_less_than_a_thousandth() {
    let (mut all, mut lost) = (0, 0);
    for seed in 1..=5 {
        let mut call = Call::new(seed, LinkConfig::delay_ms(25).losing(0.1));
        call.world.run_for(seconds(120));
        let (sent, missed) = call.residual(ms(400));
        assert!(sent > 15_000, "seed {seed}: only {sent} packets");
        assert!(
            missed * 1000 < sent,
            "seed {seed}: {missed} of {sent} missing"
        );
        all += sent;
        lost += missed;
        call.world
            .peer(call.bob)
            .receiver
            .slot("v0")
            .log
            .assert_continuous();
    }
    assert!(lost * 1000 < all, "{lost} of {all} missing");
}

/// Issue "Quality", show 3: a fifth lost on the viewer's leg, both ways, at 100 ms round trip; less than
/// 1 % may be missing when it is played 400 ms after capture.
#[test]
fn a_fifth_lost_at_100_ms_leaves_less_than_a_hundredth() {
    for seed in 1..=5 {
        let mut call = Call::new(seed, LinkConfig::delay_ms(5));
        let lossy = LinkConfig::delay_ms(50).losing(0.2);
        call.world.set_links(call.bob, lossy, lossy);
        call.world.run_for(seconds(120));
        let (sent, missed) = call.residual(ms(400));
        assert!(sent > 10_000, "seed {seed}: only {sent} packets");
        assert!(missed * 100 < sent, "seed {seed}: {missed} of {sent}");
    }
}

#[test]
fn bursts_and_reordering_are_repaired() {
    let leg = LinkConfig {
        jitter: ms(8),
        reorder: 0.02,
        reorder_by: ms(4),
        duplicate: 0.01,
        loss: Loss::Bursts {
            enter: 0.005,
            leave: 0.25,
            loss: 0.9,
        },
        ..LinkConfig::delay_ms(20)
    };
    for seed in 10..13 {
        let mut call = Call::new(seed, leg);
        call.world.run_for(seconds(60));
        let (sent, missed) = call.residual(ms(400));
        assert!(
            missed * 500 < sent,
            "seed {seed}: {missed} of {sent} missing"
        );
        let log = &call.world.peer(call.bob).receiver.slot("v0").log;
        log.assert_continuous();
        let freeze = longest_freeze(&log.shown(ms(400)));
        assert!(freeze < ms(1500), "seed {seed}: frozen for {freeze:?}");
    }
}

#[test]
fn repairs_cost_little_more_than_what_was_lost() {
    let mut call = Call::new(20, LinkConfig::delay_ms(25).losing(0.05));
    call.world.run_for(seconds(60));
    let slot = call.world.peer(call.bob).receiver.slot("v0");
    let lost_on_the_way = call.world.peer(call.bob).down.dropped;
    assert!(
        slot.repaired * 10 < lost_on_the_way * 13,
        "{} for {lost_on_the_way}",
        slot.repaired
    );
}

#[test]
fn a_path_that_dies_for_three_seconds_comes_back_with_a_keyframe() {
    for whose in 0..2 {
        let good = LinkConfig::delay_ms(25);
        let dead = LinkConfig {
            loss: Loss::Blackhole,
            ..good
        };
        let mut call = Call::new(30 + whose, good);
        call.world.run_for(seconds(5));
        let peer = if whose == 0 { call.alice } else { call.bob };
        call.world.set_links(peer, dead, dead);
        call.world.run_for(seconds(3));
        call.world.set_links(peer, good, good);
        let back = call.world.now();
        call.world.run_for(seconds(4));
        let log = &call.world.peer(call.bob).receiver.slot("v0").log;
        log.assert_continuous();
        let shown = log.shown(ms(400));
        let again = shown.iter().find(|s| s.captured > back).unwrap();
        let waited = again.complete.since(back);
        assert!(waited < ms(1500), "{whose}: picture after {waited:?}");
        let freeze = longest_freeze(&shown[shown.len() - 60..]);
        assert!(freeze < ms(100), "{whose}: {freeze:?}");
    }
}

/// Sound is not asked for again: it comes with the sound after it, once the loss is known.
#[test]
fn sound_survives_loss_by_what_later_packets_take_along() {
    for (loss, round_trip_ms) in [(0.1, 50), (0.2, 100)] {
        for seed in 30..33 {
            let mut world = World::new(seed);
            let clean = LinkConfig::delay_ms(5);
            let alice = world.join(PeerConfig {
                up: clean,
                down: clean,
                ..publisher(Names::Declared, &[500_000])
            });
            let lossy = LinkConfig::delay_ms(round_trip_ms / 2).losing(loss);
            let bob = world.join(PeerConfig {
                up: lossy,
                down: lossy,
                ..viewer()
            });
            let mut call = Call { world, alice, bob };
            call.world.run_for(seconds(125));
            let from = Time::ZERO + seconds(5);
            let (sent, missed) = call.residual_of(MICROPHONE, "a0", from, ms(200));
            assert!(sent > 5000, "seed {seed}: only {sent} packets");
            assert!(
                missed * 100 < sent,
                "{loss} lost, seed {seed}: {missed} of {sent} missing"
            );
        }
    }
}

#[test]
fn sound_that_arrives_takes_nothing_along() {
    let mut call = Call::new(40, LinkConfig::delay_ms(25));
    call.world.run_for(seconds(20));
    let slot = call.world.peer(call.bob).receiver.slot("a0");
    assert!(slot.log.arrived().len() > 500);
    assert_eq!(slot.redundant, 0);
}
