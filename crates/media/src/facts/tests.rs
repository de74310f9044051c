use super::*;

fn read(codec: Codec, payload: &[u8]) -> FrameFacts {
    FactsReader::default().read(codec, payload, &ForwardedExtensions::default())
}

/// Extended descriptor, 15-bit picture id, TL0PICIDX, temporal layer 1 with sync.
const VP8: [u8; 9] = [0x90, 0xe0, 0x92, 0x34, 7, 0x60, 0x10, 1, 2];

#[test]
fn a_patch_changes_the_counters_and_nothing_else() {
    let facts = read(Codec::Vp8, &VP8);
    assert!(facts.keyframe && facts.first_of_frame);
    assert!(facts.switches.contains(Layer::new(0, 1)));
    assert!(!facts.switches.contains(Layer::new(0, 2)));
    assert_eq!(facts.temporal, 1);
    let mut payload = VP8;
    let patch = PicturePatch {
        id: 0x7fff,
        tl0: 9,
        ..PicturePatch::default()
    };
    facts.picture.write(patch, &mut payload);
    assert_eq!(payload, [0x90, 0xe0, 0xff, 0xff, 9, 0x60, 0x10, 1, 2]);
    let patch = PicturePatch {
        id: 0x1234,
        tl0: 7,
        ..PicturePatch::default()
    };
    facts.picture.write(patch, &mut payload);
    assert_eq!(payload, VP8);
}

#[test]
fn what_is_not_understood_is_nothing_special() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        assert_eq!(read(codec, &[]), FrameFacts::default());
    }
}

#[test]
fn sound_can_begin_anywhere() {
    assert!(read(Codec::Opus, &[]).keyframe);
    assert!(read(Codec::Pcmu, &[1, 2]).first_of_frame);
}

#[test]
fn h264_begins_with_parameter_sets_where_they_are_in_band() {
    let none = ForwardedExtensions::default();
    let mut reader = FactsReader::default();
    let mut begins = |payload: &[u8]| {
        let facts = reader.read(Codec::H264, payload, &none);
        facts.keyframe && facts.first_of_frame
    };
    assert!(begins(&[0x65, 1]), "IDR, none seen so far");
    assert!(begins(&[0x67, 1]), "SPS");
    assert!(!begins(&[0x68, 1]), "PPS");
    assert!(!begins(&[0x65, 1]), "IDR without its SPS");
    assert!(!begins(&[0x41, 1]), "P slice");
}

#[test]
fn vp9_picture_ids_keep_their_distance() {
    // I, L, B: 7-bit picture id 5, temporal 1 switching up, spatial 1, TL0PICIDX 3.
    let facts = read(Codec::Vp9, &[0xe8, 5, 0x32, 3, 1]);
    assert!(facts.first_of_frame && !facts.keyframe);
    assert!(facts.switches.contains(Layer::new(1, 2)));
    assert!(!facts.switches.contains(Layer::new(1, 1)));
    assert_eq!((facts.spatial, facts.temporal), (1, 1));
    assert!(facts.picture.named_by_distance);
    assert_eq!(facts.picture.id.map(|id| id.value), Some(5));
}

#[test]
fn h264_pictures_have_the_size_that_their_parameter_set_says() {
    // 1280x720 in High profile from libx264, behind a delimiter in one packet.
    let sps = [
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00,
    ];
    let mut stap = vec![0x78, 0, 2, 0x09, 0xf0, 0, sps.len() as u8];
    stap.extend(sps);
    let mut reader = FactsReader::default();
    let none = ForwardedExtensions::default();
    assert!(reader.read(Codec::H264, &stap, &none).keyframe);
    reader.read(Codec::H264, &[0x65, 0x88], &none);
    assert_eq!(reader.size(0), Some((1280, 720)));
}

#[test]
fn extensions_come_back_as_they_went_in() {
    let mut kept = ForwardedExtensions::default();
    assert!(kept.push(ExtensionKind::AudioLevel, &[0x85]));
    assert!(kept.push(ExtensionKind::PlayoutDelay, &[1, 2, 3]));
    assert_eq!(
        kept.iter().collect::<Vec<_>>(),
        [
            (ExtensionKind::AudioLevel, &[0x85][..]),
            (ExtensionKind::PlayoutDelay, &[1, 2, 3][..]),
        ]
    );
    assert_eq!(kept.get(ExtensionKind::AudioLevel), Some(&[0x85][..]));
    assert_eq!(kept.get(ExtensionKind::AbsCaptureTime), None);
}

#[test]
fn extensions_of_one_hop_and_oversized_ones_are_not_kept() {
    let mut kept = ForwardedExtensions::default();
    assert!(!kept.push(ExtensionKind::TransportCc, &[0, 1]));
    assert!(!kept.push(ExtensionKind::DependencyDescriptor, &[0; 126]));
    assert!(kept.push(ExtensionKind::DependencyDescriptor, &[7; 125]));
    assert!(!kept.push(ExtensionKind::AudioLevel, &[]));
    assert_eq!(kept.iter().count(), 1);
}
