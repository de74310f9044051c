//! Payloads encrypted end to end pass: what forwarding must know stands in the dependency
//! descriptor.

use crosspoint_media::config::{TrackSource, Wish};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::ext::ExtensionKind;

use crate::world::{Source, World, receive, session, slots};

/// A dependency descriptor with a template structure (L1T1): start and end of frame, template 0,
/// frame number, then: structure follows; one spatial and one temporal layer, one decode target.
fn keyframe_descriptor(frame: u16) -> Vec<u8> {
    let [high, low] = frame.to_be_bytes();
    // extended flags: template_dependency_structure_present_flag only.
    // template_id_offset(6)=0, dt_cnt_minus_one(5)=0, next_layer_idc(2)=3 (one template),
    // dti(2)=2 (switch), fdiff_follows(1)=0, chain_cnt ns(2)=0, resolutions_present(1)=0.
    let bits = "10000 000000 00000 11 10 0 0 0";
    let mut bytes = vec![0xc0, high, low];
    bytes.extend(pack(bits));
    bytes
}

fn pack(bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits
        .bytes()
        .filter(|b| *b != b' ')
        .map(|b| b - b'0')
        .collect();
    bits.chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (i, bit)| byte | bit << (7 - i))
        })
        .collect()
}

fn delta_descriptor(frame: u16) -> Vec<u8> {
    let [high, low] = frame.to_be_bytes();
    vec![0xc0, high, low]
}

/// Pseudo-random bytes: no codec makes sense of them.
fn ciphertext(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..300).map(byte).collect()
}

#[test]
fn ciphertext_is_forwarded_from_the_descriptors_keyframe_on_and_untouched() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        let mut world = World::new();
        let alice = world.join(
            1,
            session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
        );
        let mut camera = Source::new(alice, codec, 100);
        let mut send = |world: &mut World, keyframe: bool, frame: u16| {
            let payload = ciphertext(u32::from(frame));
            let descriptor = if keyframe {
                keyframe_descriptor(frame)
            } else {
                delta_descriptor(frame)
            };
            let extensions = [(ExtensionKind::DependencyDescriptor, &descriptor[..])];
            let packet = camera.packet_with(true, &extensions, &payload);
            camera.timestamp = camera.timestamp.wrapping_add(3600);
            world.rtp(alice, &packet);
            (payload, descriptor)
        };
        send(&mut world, true, 1);
        let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
        send(&mut world, false, 2);
        assert!(world.take_streams(bob).is_empty(), "{codec:?}");
        let expected = [send(&mut world, true, 3), send(&mut world, false, 4)];
        let sent = &world.take_streams(bob)[&5000];
        assert_eq!(sent.len(), 2, "{codec:?}");
        for (sent, (payload, descriptor)) in sent.iter().zip(expected) {
            assert_eq!(sent.payload(), payload);
            // All but the frame number is as it was sent.
            let copy = sent.extensions().dependency_descriptor.unwrap();
            assert_eq!((copy[0], &copy[3..]), (descriptor[0], &descriptor[3..]));
        }
    }
}

/// Receivers drop a keyframe whose frame number is older than that of the one before.
#[test]
fn frame_numbers_go_on_over_a_change_of_source_and_keep_their_distances() {
    let mut world = World::new();
    let mut cameras: Vec<_> = (1..=2)
        .map(|id| {
            let ssrc = 100 * id as u32;
            let key = world.join(
                id,
                session(vec![receive(id, TrackSource::Camera, ssrc)], vec![]),
            );
            Source::new(key, Codec::Av1, ssrc)
        })
        .collect();
    let bob = world.join(9, session(vec![], slots(5000, 0, 1)));
    let mut numbers = Vec::new();
    // The second source's numbers are far behind the first's, and leave one out.
    for (shown, first) in [(1, 50_000), (2, 300), (1, 50_400), (2, 65_534)] {
        for id in 1..=2 {
            let wish = Wish {
                wanted: id == shown,
                ..Wish::default()
            };
            world.wish(9, id, wish);
        }
        let camera = &mut cameras[shown as usize - 1];
        for (step, keyframe) in [(0, true), (1, false), (3, false)] {
            let number = u16::wrapping_add(first, step);
            let descriptor = if keyframe {
                keyframe_descriptor(number)
            } else {
                delta_descriptor(number)
            };
            let extensions = [(ExtensionKind::DependencyDescriptor, &descriptor[..])];
            let packet = camera.packet_with(true, &extensions, &ciphertext(u32::from(number)));
            camera.timestamp = camera.timestamp.wrapping_add(3600);
            world.rtp(camera.from, &packet);
        }
        world.advance_ms(120);
        for sent in world.take_streams(bob).remove(&5000).unwrap() {
            let descriptor = sent.extensions().dependency_descriptor.unwrap();
            numbers.push(u16::from_be_bytes([descriptor[1], descriptor[2]]));
        }
    }
    let steps: Vec<_> = numbers
        .windows(2)
        .map(|w| w[1].wrapping_sub(w[0]))
        .collect();
    assert_eq!(steps, [1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2]);
}

/// Firefox does not take the descriptor: it orders VP8 frames by the packetizer's picture ids,
/// which are in the clear even when the frames are not.
#[test]
fn a_receiver_without_the_descriptor_gets_continuous_picture_ids() {
    let mut world = World::new();
    let mut cameras: Vec<_> = (1..=2)
        .map(|id| {
            let ssrc = 100 * id as u32;
            let sender = session(vec![receive(id, TrackSource::Camera, ssrc)], vec![]);
            Source::new(world.join(id, sender), Codec::Vp8, ssrc)
        })
        .collect();
    let mut receiver = session(vec![], slots(5000, 0, 1));
    receiver
        .slot_extensions
        .set(ExtensionKind::DependencyDescriptor, 0);
    let bob = world.join(9, receiver);
    let mut ids = Vec::new();
    for (shown, first) in [(1, 20_000_u16), (2, 300)] {
        for id in 1..=2 {
            let wish = Wish {
                wanted: id == shown,
                ..Wish::default()
            };
            world.wish(9, id, wish);
        }
        let camera = &mut cameras[shown as usize - 1];
        for (step, keyframe) in [(0, true), (1, false)] {
            let number = first + step;
            let descriptor = if keyframe {
                keyframe_descriptor(number)
            } else {
                delta_descriptor(number)
            };
            let extensions = [(ExtensionKind::DependencyDescriptor, &descriptor[..])];
            // RFC 7741 §4.2: X and S, then I, then a 15-bit picture id.
            let [high, low] = (number | 0x8000).to_be_bytes();
            let mut payload = vec![0x90, 0x80, high, low];
            payload.extend(ciphertext(u32::from(number)));
            let packet = camera.packet_with(true, &extensions, &payload);
            camera.timestamp = camera.timestamp.wrapping_add(3600);
            world.rtp(camera.from, &packet);
        }
        world.advance_ms(120);
        for sent in world.take_streams(bob).remove(&5000).unwrap() {
            assert!(sent.extensions().dependency_descriptor.is_none());
            ids.push(u16::from_be_bytes([
                sent.payload()[2] & 0x7f,
                sent.payload()[3],
            ]));
        }
    }
    let steps: Vec<_> = ids.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    assert_eq!(steps, [1, 1, 1]);
}
