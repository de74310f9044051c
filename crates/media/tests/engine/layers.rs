//! Layers within one encoding: temporal ones of VP8, spatial ones by dependency descriptor.

use crosspoint_media::command::Command;
use crosspoint_media::config::{
    LayerLimit, Policy, SessionId, SessionKey, TrackId, TrackSource, Wish,
};
use crosspoint_media::explain::Reason;
use crosspoint_wire::codec::Codec;
use crosspoint_wire::dd::Dependencies;
use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::rtcp::RtcpWriter;

use crate::world::{Sent, Source, World, receive, session, simulcast, slots};

const SLOT: u32 = 5000;

/// Writes bits, most significant first.
#[derive(Default)]
struct Bits(Vec<u8>, u32);

impl Bits {
    fn put(&mut self, value: u32, width: u32) -> &mut Self {
        for shift in (0..width).rev() {
            if self.1.is_multiple_of(8) {
                self.0.push(0);
            }
            *self.0.last_mut().unwrap() |= (((value >> shift) & 1) as u8) << (7 - self.1 % 8);
            self.1 += 1;
        }
        self
    }
}

/// Three spatial layers, each predicted from the one below in the same picture and from itself in
/// the picture before (L3T1). Template n is layer n of a keyframe, 3 + n of another picture.
fn descriptor(number: u16, spatial: u32, keyframe: bool) -> Vec<u8> {
    let mut bits = Bits::default();
    let template = if keyframe { spatial } else { 3 + spatial };
    // Templates are grouped by spatial layer.
    let id = [0, 2, 4, 1, 3, 5][template as usize];
    bits.put(3, 2).put(id, 6).put(u32::from(number), 16);
    if !(keyframe && spatial == 0) {
        return bits.0;
    }
    bits.put(0b10000, 5).put(0, 6).put(2, 5);
    for next in [0, 2, 0, 2, 0, 3] {
        bits.put(next, 2);
    }
    // Not present 0, switch 2, required 3; for targets 0, 1, 2.
    for indications in ["222", "333", "022", "033", "002", "003"] {
        for letter in indications.bytes() {
            bits.put(u32::from(letter - b'0'), 2);
        }
    }
    for diffs in [&[][..], &[3], &[1], &[3, 1], &[1], &[3, 1]] {
        for diff in diffs {
            bits.put(1, 1).put(diff - 1, 4);
        }
        bits.put(0, 1);
    }
    // No chains (ns(4) of 0 is two bits), sizes.
    bits.put(0, 2).put(1, 1);
    for (width, height) in [(320, 180), (640, 360), (1280, 720)] {
        bits.put(width - 1, 16).put(height - 1, 16);
    }
    bits.0
}

struct Call {
    world: World,
    bob: SessionKey,
    camera: Source,
    pictures: u16,
}

impl Call {
    fn new() -> Self {
        Self::with(true)
    }

    /// `descriptors`: whether bob takes them.
    fn with(descriptors: bool) -> Self {
        let mut world = World::new();
        let alice = world.join(
            1,
            session(vec![receive(2, TrackSource::Camera, 100)], vec![]),
        );
        let mut lines = slots(SLOT, 0, 1);
        lines[0].descriptors = descriptors;
        let bob = world.join(2, session(vec![], lines));
        Self {
            camera: Source::new(alice, Codec::Av1, 100),
            world,
            bob,
            pictures: 0,
        }
    }

    /// A picture of three layers, two packets each; returns what bob got.
    fn picture(&mut self, keyframe: bool) -> Vec<Sent> {
        self.picture_cut(keyframe, usize::MAX)
    }

    /// The same with descriptors of at most `len` bytes.
    fn picture_cut(&mut self, keyframe: bool, len: usize) -> Vec<Sent> {
        for spatial in 0..3_u16 {
            let number = self.pictures * 3 + spatial;
            for part in 0..2 {
                let mut descriptor = descriptor(number, u32::from(spatial), keyframe);
                // Not the end, not the start.
                descriptor[0] &= if part == 0 { 0xbf } else { 0x7f };
                if part == 1 {
                    descriptor.truncate(3);
                }
                descriptor.truncate(len);
                let last = spatial == 2 && part == 1;
                let extensions = [(ExtensionKind::DependencyDescriptor, &descriptor[..])];
                let payload = [spatial as u8; 100];
                let packet = self.camera.packet_with(last, &extensions, &payload);
                self.world.rtp(self.camera.from, &packet);
            }
        }
        self.camera.timestamp = self.camera.timestamp.wrapping_add(3600);
        self.pictures += 1;
        self.world.advance_ms(40);
        let mut streams = self.world.take_streams(self.bob);
        streams.remove(&SLOT).unwrap_or_default()
    }

    fn wish(&mut self, largest: LayerLimit) {
        let wish = Wish {
            wanted: true,
            largest,
        };
        self.world.wish(2, 2, wish);
    }
}

fn layers(sent: &[Sent]) -> Vec<u8> {
    let mut layers: Vec<_> = sent.iter().map(|s| s.payload()[0]).collect();
    layers.dedup();
    layers
}

#[test]
fn descriptors_cut_short_harm_nothing_that_comes_after_them() {
    let mut call = Call::new();
    assert_eq!(layers(&call.picture(true)), [0, 1, 2]);
    for len in 1..descriptor(0, 0, true).len() {
        for keyframe in [true, false] {
            call.picture_cut(keyframe, len);
        }
        let sent = call.picture(true);
        assert_eq!(layers(&sent), [0, 1, 2], "after {len} bytes");
        assert_one_stream(&sent);
        assert_eq!(layers(&call.picture(false)), [0, 1, 2]);
    }
}

/// Chromium gives up an AV1 picture of several layers that nothing tells apart.
#[test]
fn who_takes_no_descriptors_gets_the_smallest_av1_picture() {
    let mut call = Call::with(false);
    let mut sent = call.picture(true);
    for n in 1..20 {
        sent.extend(call.picture(n % 8 == 0));
    }
    assert_eq!(layers(&sent), [0]);
    assert_eq!(sent.len(), 40);
    assert_one_stream(&sent);
    call.wish(LayerLimit::Best);
    assert_eq!(layers(&call.picture(true)), [0]);
}

#[test]
fn who_takes_no_descriptors_is_told_that_this_is_why() {
    let mut call = Call::with(false);
    let why = |call: &mut Call, largest| {
        call.wish(largest);
        for n in 0..40 {
            call.picture(n == 0);
        }
        let explained = call.world.engine.explain(SessionId(2), TrackId(2));
        let explained = explained.unwrap();
        assert_eq!(explained.layers.len(), 3, "what there is");
        let lowest = explained.layers[0].choice;
        assert_eq!(
            (explained.current, explained.target),
            (Some(lowest), Some(lowest))
        );
        assert_eq!(explained.next_bps, None);
        explained.reason
    };
    assert_eq!(why(&mut call, LayerLimit::Best), Some(Reason::Unsupported));
    let tile = LayerLimit::Size {
        width: 640,
        height: 360,
    };
    assert_eq!(why(&mut call, tile), Some(Reason::Unsupported));
    // Not where it would have no more of it anyway.
    assert_eq!(why(&mut call, LayerLimit::Small), Some(Reason::Size));
    let ceiling = LayerLimit::Small;
    let policy = Policy {
        ceiling,
        ..Policy::default()
    };
    let session = SessionId(2);
    let command = Command::SetPolicy { session, policy };
    let now = call.world.now;
    call.world.engine.handle_command(now, command).unwrap();
    assert_eq!(why(&mut call, LayerLimit::Best), Some(Reason::Policy));
}

/// The decode targets that are active after each of the packets, as its receiver knows them.
fn active(known: &mut Dependencies, sent: &[Sent]) -> Vec<u32> {
    let told = sent.iter().map(|sent| {
        let descriptor = sent.extensions().dependency_descriptor.unwrap();
        known.read(descriptor).unwrap();
        known.active_decode_targets()
    });
    told.collect()
}

#[test]
fn receivers_are_told_what_can_be_decoded_of_what_they_are_sent() {
    let mut call = Call::new();
    let mut known = Dependencies::new();
    for n in 0..2 {
        let all = call.picture(n == 0);
        assert_eq!(active(&mut known, &all), [0b111; 6]);
        let told = |sent: &Sent| sent.extensions().dependency_descriptor.unwrap().len();
        assert_eq!(told(&all[5]), 3, "who is sent everything need not be told");
    }
    call.wish(LayerLimit::Small);
    for keyframe in [false, false, true, false] {
        let small = call.picture(keyframe);
        assert_eq!(active(&mut known, &small), [0b001; 2]);
        // Whichever is lost, the next one says it as well.
        for sent in &small {
            let mut late = known.clone();
            let descriptor = sent.extensions().dependency_descriptor.unwrap();
            let frame = late.read(descriptor).unwrap();
            assert_eq!(frame.active_decode_targets, Some(0b001));
        }
    }
    call.wish(LayerLimit::Size {
        width: 640,
        height: 360,
    });
    assert_eq!(active(&mut known, &call.picture(false)), [0b001; 2]);
    assert_eq!(active(&mut known, &call.picture(true)), [0b011; 4]);
    call.wish(LayerLimit::Best);
    assert_eq!(active(&mut known, &call.picture(false)), [0b011; 4]);
    assert_eq!(active(&mut known, &call.picture(true)), [0b111; 6]);
}

#[test]
fn a_repetition_tells_what_the_packet_told() {
    let mut call = Call::new();
    call.wish(LayerLimit::Small);
    call.picture(true);
    let sent = call.picture(false);
    let lost = &sent[0];
    let seq = lost.header().sequence_number;
    call.world.advance_ms(100);
    call.world.take_sent();
    call.world.rtcp(call.bob, |w: &mut RtcpWriter<'_>| {
        w.nack(1, SLOT, [seq]).unwrap();
    });
    let again = call.world.take_sent();
    let descriptor = |sent: &Sent| {
        let descriptor = sent.extensions().dependency_descriptor;
        descriptor.unwrap().to_vec()
    };
    assert_eq!(descriptor(&again[0]), descriptor(lost));
}

/// The numbers go on without a gap, and each picture ends with a marker bit.
fn assert_one_stream(sent: &[Sent]) {
    for pair in sent.windows(2) {
        let [before, after] = pair else {
            unreachable!()
        };
        assert_eq!(after.index, before.index + 1);
        let ends = before.header().timestamp != after.header().timestamp;
        assert_eq!(before.header().marker, ends, "{}", before.index);
    }
    assert!(sent.last().unwrap().header().marker);
}

#[test]
fn a_spatial_layer_is_left_at_once_and_taken_at_a_keyframe() {
    let mut call = Call::new();
    let mut sent = call.picture(true);
    sent.extend(call.picture(false));
    assert_eq!(layers(&sent), [0, 1, 2, 0, 1, 2]);
    call.wish(LayerLimit::Small);
    let small = call.picture(false);
    assert_eq!(layers(&small), [0]);
    sent.extend(small);
    call.wish(LayerLimit::Size {
        width: 640,
        height: 360,
    });
    let waiting = call.picture(false);
    assert_eq!(layers(&waiting), [0]);
    sent.extend(waiting);
    assert_eq!(call.world.take_asked(call.camera.from).keyframes, [100]);
    let larger = call.picture(true);
    assert_eq!(layers(&larger), [0, 1]);
    sent.extend(larger);
    sent.extend(call.picture(false));
    assert_one_stream(&sent);
}

#[test]
fn a_repetition_has_the_marker_bit_that_the_packet_left_with() {
    let mut call = Call::new();
    call.wish(LayerLimit::Small);
    call.picture(true);
    let sent = call.picture(false);
    let last = sent.last().unwrap().header();
    assert!(last.marker);
    call.world.advance_ms(100);
    call.world.take_sent();
    call.world.rtcp(call.bob, |w: &mut RtcpWriter<'_>| {
        w.nack(1, SLOT, [last.sequence_number]).unwrap();
    });
    let again = call.world.take_sent();
    assert!(again[0].header().marker);
}

#[test]
fn what_there_is_can_be_asked_with_sizes_and_bitrates() {
    let mut call = Call::new();
    for n in 0..100 {
        call.picture(n == 0);
    }
    let explained = call.world.engine.explain(SessionId(2), TrackId(2)).unwrap();
    let sizes: Vec<_> = explained.layers.iter().map(|l| l.size.unwrap()).collect();
    assert_eq!(sizes, [(320, 180), (640, 360), (1280, 720)]);
    // 25 pictures a second, two packets of 176 bytes a layer.
    for (layer, count) in explained.layers.iter().zip(1..) {
        let expected = count * 25 * 2 * 176 * 8;
        assert!(
            layer.bits_per_second.abs_diff(expected) < expected / 10,
            "{layer:?}"
        );
    }
    assert_eq!(explained.reason, None);
    assert_eq!(explained.switches.len(), 1);
}

/// Three temporal layers, 0 2 1 2; the first of each higher layer in a group depends on the base
/// alone.
fn vp8_picture(camera: &mut Source, n: u16, keyframe: bool, bytes: usize) -> Vec<u8> {
    let temporal = [0, 2, 1, 2][usize::from(n % 4)];
    let sync = u8::from(n % 4 == 1 || n % 4 == 2);
    let [high, low] = (n & 0x7fff).to_be_bytes();
    let mut payload = vec![0x90, 0xe0, 0x80 | high, low, (n / 4) as u8];
    payload.push(temporal << 6 | sync << 5);
    payload.push(u8::from(!keyframe));
    payload.extend([0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
    payload.resize(bytes, temporal);
    let packet = camera.packet(true, &payload);
    camera.timestamp = camera.timestamp.wrapping_add(3000);
    packet
}

#[test]
fn a_slower_link_gets_fewer_pictures_a_second_without_gaps_in_their_numbers() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 100)], vec![]),
    );
    let mut config = session(vec![], slots(SLOT, 0, 1));
    config.slot_extensions = Default::default();
    config.extensions = Default::default();
    let bob = world.join(2, config);
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    let mut run = |world: &mut World, pictures: core::ops::Range<u16>, kbps: u64| {
        let mut sent = Vec::new();
        for n in pictures {
            let limit = kbps * 1000;
            world.rtcp(bob, |w| w.remb(1, limit, &[SLOT]).unwrap());
            let packet = vp8_picture(&mut camera, n, n == 0, 1000);
            world.rtp(alice, &packet);
            world.advance_ms(33);
            sent.extend(world.take_streams(bob).remove(&SLOT).unwrap_or_default());
        }
        sent
    };
    // 260 kbit/s with all layers, 130 with two, 65 with one.
    run(&mut world, 0..120, 1000);
    let all = run(&mut world, 120..160, 1000);
    assert_eq!(all.len(), 40);
    run(&mut world, 160..200, 170);
    let half = run(&mut world, 200..240, 170);
    assert_eq!(half.len(), 20);
    for pair in half.windows(2) {
        assert_eq!(pair[1].index, pair[0].index + 1);
        let id = |sent: &Sent| u16::from_be_bytes([sent.payload()[2] & 0x7f, sent.payload()[3]]);
        assert_eq!(id(&pair[1]), id(&pair[0]) + 1, "picture ids go on by one");
    }
    run(&mut world, 240..400, 1000);
    assert_eq!(run(&mut world, 400..440, 1000).len(), 40);
}

#[test]
fn a_quarter_of_the_larger_images_is_not_taken_for_more_than_all_of_the_smaller() {
    let mut world = World::new();
    let alice = world.join(1, session(vec![simulcast(2, &["q", "h"])], vec![]));
    let mut config = session(vec![], slots(SLOT, 0, 1));
    config.slot_extensions = Default::default();
    config.extensions = Default::default();
    let bob = world.join(2, config);
    let mut small = Source::new(alice, Codec::Vp8, 100).named("s2", Some("q"));
    let mut large = Source::new(alice, Codec::Vp8, 200).named("s2", Some("h"));
    let mut run = |kbps: u64, pictures: core::ops::Range<u16>| {
        let (mut smalls, mut larges) = (0, 0);
        for n in pictures {
            world.rtcp(bob, |w| w.remb(1, kbps * 1000, &[SLOT]).unwrap());
            for (camera, bytes) in [(&mut small, 150), (&mut large, 1000)] {
                let packet = vp8_picture(camera, n, n % 20 == 0, bytes);
                world.rtp(alice, &packet);
            }
            world.advance_ms(33);
            for sent in world.take_streams(bob).remove(&SLOT).unwrap_or_default() {
                if sent.payload().len() < 500 {
                    smalls += 1;
                } else {
                    larges += 1;
                }
            }
        }
        (smalls, larges)
    };
    // The small one takes 50 kbit/s; of the large one, all take 260, a half 130, a quarter 65.
    run(120, 0..240);
    assert_eq!(run(120, 240..280), (40, 0));
    run(180, 280..480);
    assert_eq!(run(180, 480..520), (0, 20));
}

#[test]
fn priorities_and_policies_of_what_is_unknown_are_refused() {
    let mut call = Call::new();
    let unknown = [
        Command::SetPolicy {
            session: SessionId(99),
            policy: Default::default(),
        },
        Command::SetPriority {
            track: TrackId(99),
            priority: Some(3),
        },
    ];
    for command in unknown {
        assert!(
            call.world
                .engine
                .handle_command(call.world.now, command)
                .is_err()
        );
    }
    assert!(
        call.world
            .engine
            .explain(SessionId(2), TrackId(99))
            .is_none()
    );
}
