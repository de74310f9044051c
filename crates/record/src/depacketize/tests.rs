use super::*;

fn fragment(timestamp: u32, marker: bool, payload: &[u8]) -> Fragment<'_> {
    Fragment {
        timestamp,
        marker,
        payload,
    }
}

#[test]
fn a_vp8_frame_is_what_stands_behind_the_descriptors() {
    let mut vp8 = Depacketizer::new(Codec::Vp8);
    let first = [
        0x90, 0x80, 0x05, 0x10, 1, 2, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0,
    ];
    assert!(!vp8.push(fragment(1, false, &first)));
    assert!(vp8.push(fragment(1, true, &[0x80, 0x80, 0x05, 8, 9])));
    let frame = vp8.frame().unwrap();
    assert!(frame.keyframe);
    assert_eq!(frame.data, [&first[3..], &[8, 9]].concat());
    let entry = vp8.track_entry(frame.data, (1, 1)).unwrap();
    let EntryKind::Video { width, height } = entry.kind else {
        panic!("{entry:?}");
    };
    assert_eq!((width, height), (320, 180));
}

#[test]
fn a_frame_with_a_hole_is_not_handed_out_and_the_next_one_is() {
    let mut vp8 = Depacketizer::new(Codec::Vp8);
    vp8.push(fragment(1, false, &[0x10, 0x10, 1]));
    vp8.reset();
    assert!(!vp8.push(fragment(1, true, &[0x00, 7])));
    assert!(vp8.push(fragment(2, true, &[0x10, 0x11, 1])));
    // A whole frame is missing: the next one is a good start.
    vp8.reset();
    assert!(vp8.push(fragment(4, true, &[0x10, 0x10, 1])));
    // The head is missing, then the end.
    vp8.reset();
    assert!(!vp8.push(fragment(5, true, &[0x00, 1])));
    assert!(!vp8.push(fragment(6, false, &[0x10, 0x11, 1])));
    assert!(vp8.push(fragment(7, true, &[0x10, 0x11, 1])));
}

#[test]
fn spatial_layers_of_vp9_become_a_superframe() {
    let mut vp9 = Depacketizer::new(Codec::Vp9);
    // L, B and E bits, layer indices, TL0PICIDX: a keyframe of the base, then of layer 1.
    assert!(!vp9.push(fragment(1, false, &[0x2c, 0x00, 1, 0xa1, 0xa2])));
    assert!(vp9.push(fragment(1, true, &[0x6c, 0x03, 1, 0xb1, 0xb2, 0xb3])));
    let frame = vp9.frame().unwrap();
    assert!(frame.keyframe);
    let marker = 0xc0 | 3 << 3 | 1;
    let expected = [
        &[0xa1, 0xa2, 0xb1, 0xb2, 0xb3, marker][..],
        &[2, 0, 0, 0, 3, 0, 0, 0, marker],
    ];
    assert_eq!(frame.data, expected.concat());
    // One layer alone has no index.
    assert!(vp9.push(fragment(2, true, &[0x6c, 0x00, 2, 0xc1])));
    assert_eq!(vp9.frame().unwrap().data, [0xc1]);
}

#[test]
fn h264_units_stand_behind_their_lengths() {
    let mut h264 = Depacketizer::new(Codec::H264);
    // Baseline, 640x480.
    let sps = [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x3d, 0xa1, 0x00];
    let mut stap = vec![0x78];
    for unit in [&sps[..], &[0x68, 0xce, 0x3c, 0x80]] {
        stap.extend((unit.len() as u16).to_be_bytes());
        stap.extend_from_slice(unit);
    }
    assert!(!h264.push(fragment(1, false, &stap)));
    assert!(!h264.push(fragment(1, false, &[0x7c, 0x85, 0x88, 1])));
    assert!(h264.push(fragment(1, true, &[0x7c, 0x45, 2])));
    let frame = h264.frame().unwrap();
    assert!(frame.keyframe);
    assert_eq!(
        frame.data[frame.data.len() - 8..],
        [0, 0, 0, 4, 0x65, 0x88, 1, 2]
    );
    let data = frame.data.to_vec();
    let entry = h264.track_entry(&data, (1, 1)).unwrap();
    assert_eq!(entry.private[..6], [1, 0x42, 0xc0, 0x1e, 0xff, 0xe1]);
    // A picture that does not begin with its first slice is not whole.
    h264.reset();
    assert!(!h264.push(fragment(2, true, &[0x65, 0x08, 1])));
    // A fragment without its head neither.
    assert!(!h264.push(fragment(3, true, &[0x7c, 0x05, 1])));
}

#[test]
fn av1_elements_become_obus_with_sizes() {
    let mut av1 = Depacketizer::new(Codec::Av1);
    // A delimiter, a sequence header (reduced still picture, 16x16), and half of a frame.
    let sequence = [0x08, 0x18, 0x00, 0x33, 0xff, 0x00, 0x00];
    let mut first = vec![0x70 | 0x08, 1, 0x10, sequence.len() as u8];
    first.extend(sequence);
    first.extend([0x30, 0xaa]);
    assert!(!av1.push(fragment(1, false, &first)));
    assert!(av1.push(fragment(1, true, &[0x90, 0xbb])));
    let frame = av1.frame().unwrap();
    assert!(frame.keyframe);
    let expected = [&[0x0a, 6][..], &sequence[1..], &[0x32, 2, 0xaa, 0xbb]];
    assert_eq!(frame.data, expected.concat());
    // A continuation of what is not here.
    av1.reset();
    assert!(!av1.push(fragment(2, true, &[0x90, 0xbb])));
}

#[test]
fn opus_packets_say_how_long_they_sound() {
    let duration = |packet: &[u8]| audio_duration_us(Codec::Opus, packet);
    assert_eq!(duration(&OPUS_SILENCE), SILENCE_US);
    assert_eq!(duration(&[0x78, 1]), 20_000);
    assert_eq!(duration(&[0x18, 1]), 60_000);
    assert_eq!(duration(&[0x79, 1, 2]), 40_000);
    assert_eq!(duration(&[0x7b, 3, 1]), 60_000);
    assert_eq!(duration(&[0x7b, 63]), 20_000);
    assert_eq!(duration(&[]), 20_000);
    assert_eq!(audio_duration_us(Codec::Pcmu, &[0; 160]), 20_000);
}

#[test]
fn arbitrary_packets_do_no_harm() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus] {
        let mut depacketizer = Depacketizer::new(codec);
        for n in 0..20_000 {
            let len = usize::from(random() % 40);
            let payload: Vec<u8> = (0..len).map(|_| random()).collect();
            depacketizer.push(fragment(n / 3, n % 3 == 2, &payload));
            if let Some(data) = depacketizer.frame().map(|frame| frame.data.to_vec()) {
                depacketizer.track_entry(&data, (1, 1));
            }
        }
    }
}
