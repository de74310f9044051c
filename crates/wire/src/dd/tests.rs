use super::*;

/// Writes bits, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: u32,
}

impl Bits {
    fn put(&mut self, value: u32, width: u32) -> &mut Self {
        for shift in (0..width).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = ((value >> shift) & 1) as u8;
            *self.bytes.last_mut().unwrap() |= bit << (7 - self.len % 8);
            self.len += 1;
        }
        self
    }

    /// ns(values).
    fn put_below(&mut self, value: u32, values: u32) {
        let width = u32::BITS - values.leading_zeros();
        let short = (1 << width) - values;
        if value < short {
            self.put(value, width - 1);
        } else {
            let value = value + short;
            self.put(value >> 1, width - 1).put(value & 1, 1);
        }
    }

    /// One letter for each decode target, as the specification writes them.
    fn put_indications(&mut self, letters: &str) {
        for letter in letters.chars() {
            self.put("-DSR".find(letter).unwrap() as u32, 2);
        }
    }

    fn mandatory(&mut self, flags: &str, template_id: u32, number: u16) -> &mut Self {
        self.put(u32::from(flags.contains('s')), 1)
            .put(u32::from(flags.contains('e')), 1)
            .put(template_id, 6)
            .put(u32::from(number), 16)
    }
}

/// (spatial, temporal), indications, frame differences, chain differences.
type TemplateOf<'a> = ((u8, u8), &'a str, &'a [u32], &'a [u32]);

/// L2T2 with key-frame dependency as in the specification's examples (appendix A.10.3): targets
/// are S0T0.., chains one per spatial layer.
const L2T2: [TemplateOf<'static>; 6] = [
    ((0, 0), "SSSS", &[], &[0, 0]),
    ((0, 0), "SSRR", &[4], &[4, 3]),
    ((0, 1), "-D-R", &[2], &[2, 1]),
    ((1, 0), "--SS", &[1], &[1, 1]),
    ((1, 0), "--SS", &[4, 1], &[1, 1]),
    ((1, 1), "---D", &[2, 1], &[3, 2]),
];

fn structure(
    bits: &mut Bits,
    offset: u32,
    templates: &[TemplateOf<'_>],
    protected_by: &[u32],
    sizes: &[(u32, u32)],
) {
    let targets = templates[0].1.len() as u32;
    bits.put(offset, 6).put(targets - 1, 5);
    for pair in templates.windows(2) {
        let [(a, ..), (b, ..)] = pair else {
            unreachable!()
        };
        let next = match (b.0 - a.0, b.1.wrapping_sub(a.1)) {
            (0, 0) => 0,
            (0, 1) => 1,
            (1, _) => 2,
            _ => panic!("templates out of order"),
        };
        bits.put(next, 2);
    }
    bits.put(3, 2);
    for (_, indications, ..) in templates {
        bits.put_indications(indications);
    }
    for (_, _, diffs, _) in templates {
        for diff in *diffs {
            bits.put(1, 1).put(diff - 1, 4);
        }
        bits.put(0, 1);
    }
    let chains = templates[0].3.len() as u32;
    bits.put_below(chains, targets + 1);
    if chains > 0 {
        for chain in protected_by {
            bits.put_below(*chain, chains);
        }
        for diff in templates.iter().flat_map(|t| t.3) {
            bits.put(*diff, 4);
        }
    }
    bits.put(u32::from(!sizes.is_empty()), 1);
    for (width, height) in sizes {
        bits.put(width - 1, 16).put(height - 1, 16);
    }
}

/// First packet of the first frame, template 0 under `offset`.
fn keyframe(offset: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.mandatory("s", offset, 1000).put(0b10000, 5);
    let sizes = [(320, 180), (640, 360)];
    structure(&mut bits, offset, &L2T2, &[0, 0, 1, 1], &sizes);
    bits.bytes
}

fn short(flags: &str, template_id: u32, number: u16) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.mandatory(flags, template_id, number);
    bits.bytes
}

#[test]
fn a_structure_is_read_with_its_targets_chains_and_sizes() {
    let mut dependencies = Dependencies::new();
    let frame = dependencies.read(&keyframe(7)).unwrap();
    assert!(frame.structure_attached && frame.start && !frame.end);
    assert_eq!((frame.number, frame.spatial, frame.temporal), (1000, 0, 0));
    assert_eq!(frame.active_decode_targets, Some(0b1111));
    assert_eq!(frame.size, Some((320, 180)));
    assert_eq!(frame.frame_diffs().count(), 0);
    assert_eq!(frame.chain_diffs(), [0, 0]);

    let structure = dependencies.structure().unwrap();
    assert_eq!(structure.spatial_layers(), 2);
    assert_eq!(structure.size(1), Some((640, 360)));
    assert_eq!(structure.size(2), None);
    let targets: Vec<_> = structure.decode_targets().iter().collect();
    let layers: Vec<_> = targets.iter().map(|t| (t.spatial, t.temporal)).collect();
    assert_eq!(layers, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let chains: Vec<_> = targets.iter().map(|t| t.protected_by).collect();
    assert_eq!(chains, [Some(0), Some(0), Some(1), Some(1)]);
}

#[test]
fn who_has_a_target_can_decode_those_that_have_nothing_else() {
    let mut dependencies = Dependencies::new();
    dependencies.read(&keyframe(0)).unwrap();
    let parts = |target| dependencies.structure().unwrap().parts_of(target);
    assert_eq!(
        [0, 1, 2, 3].map(parts),
        [0b0001, 0b0011, 0b0101, 0b1111],
        "targets are S0T0, S0T1, S1T0, S1T1"
    );
    // K-SVC: after a keyframe nothing of the smaller picture is in the larger one.
    let templates: [TemplateOf<'_>; 4] = [
        ((0, 0), "SS", &[], &[]),
        ((0, 0), "S-", &[2], &[]),
        ((1, 0), "-S", &[1], &[]),
        ((1, 0), "-S", &[2], &[]),
    ];
    let mut bits = Bits::default();
    bits.mandatory("se", 0, 0).put(0b10000, 5);
    structure(&mut bits, 0, &templates, &[], &[]);
    dependencies.read(&bits.bytes).unwrap();
    let parts = |target| dependencies.structure().unwrap().parts_of(target);
    assert_eq!([0, 1].map(parts), [0b01, 0b10]);
}

#[test]
fn three_bytes_say_all_of_a_frame_that_is_like_its_template() {
    let mut dependencies = Dependencies::new();
    dependencies.read(&keyframe(7)).unwrap();
    for (index, (layers, indications, frame_diffs, chain_diffs)) in L2T2.iter().enumerate() {
        let descriptor = short("se", 7 + index as u32, 2000);
        assert_eq!(descriptor.len(), 3);
        let frame = dependencies.read(&descriptor).unwrap();
        assert!(frame.start && frame.end && !frame.structure_attached);
        assert_eq!((frame.spatial, frame.temporal), *layers);
        assert_eq!(frame.active_decode_targets, None);
        for (target, letter) in indications.chars().enumerate() {
            let expected = match letter {
                '-' => Indication::NotPresent,
                'D' => Indication::Discardable,
                'S' => Indication::Switch,
                _ => Indication::Required,
            };
            assert_eq!(frame.indication(target as u8), expected);
        }
        assert_eq!(frame.indication(32), Indication::NotPresent);
        assert!(
            frame
                .frame_diffs()
                .map(u32::from)
                .eq(frame_diffs.iter().copied())
        );
        let chains = frame.chain_diffs().iter().copied().map(u32::from);
        assert!(chains.eq(chain_diffs.iter().copied()));
    }
}

#[test]
fn template_ids_wrap_around_their_offset() {
    let mut dependencies = Dependencies::new();
    dependencies.read(&keyframe(61)).unwrap();
    let frame = dependencies.read(&short("", 2, 1)).unwrap();
    assert_eq!((frame.spatial, frame.temporal), (1, 1));
    let unknown = dependencies.read(&short("", 3, 1));
    assert_eq!(unknown, Err(ParseError::Value));
}

#[test]
fn what_a_descriptor_says_itself_goes_before_its_template() {
    let mut dependencies = Dependencies::new();
    dependencies.read(&keyframe(0)).unwrap();
    let mut bits = Bits::default();
    bits.mandatory("e", 3, 9).put(0b01111, 5).put(0b0011, 4);
    bits.put_indications("-RDS");
    bits.put(1, 2).put(15, 4); // 16 frames back
    bits.put(2, 2).put(199, 8); // 200
    bits.put(3, 2).put(4095, 12); // 4096
    bits.put(0, 2).put(11, 8).put(255, 8);
    let frame = dependencies.read(&bits.bytes).unwrap();
    assert_eq!(frame.active_decode_targets, Some(0b0011));
    assert_eq!(dependencies.active_decode_targets(), 0b0011);
    assert_eq!(frame.indication(0), Indication::NotPresent);
    assert_eq!(frame.indication(1), Indication::Required);
    assert_eq!(frame.indication(2), Indication::Discardable);
    assert_eq!(frame.indication(3), Indication::Switch);
    assert!(frame.frame_diffs().eq([16, 200, 4096]));
    assert_eq!(frame.chain_diffs(), [11, 255]);
    // The layers stay the template's.
    assert_eq!((frame.spatial, frame.temporal), (1, 0));
}

/// What `frame` is where the active decode targets are `active`.
fn with_active(frame: Frame, active: u32) -> Frame {
    Frame {
        active_decode_targets: Some(active),
        ..frame
    }
}

#[test]
fn active_decode_targets_can_be_written_where_there_are_some_and_where_there_are_none() {
    let mut known = Dependencies::new();
    known.read(&keyframe(7)).unwrap();
    let customs = |flags: u32| {
        let mut bits = Bits::default();
        bits.mandatory("se", 7 + 3, 9).put(flags, 5);
        if flags & 0b01000 != 0 {
            bits.put(0b1110, 4);
        }
        if flags & 0b00100 != 0 {
            bits.put_indications("-RDS");
        }
        if flags & 0b00010 != 0 {
            bits.put(2, 2).put(199, 8).put(0, 2);
        }
        if flags & 0b00001 != 0 {
            bits.put(11, 8).put(255, 8);
        }
        bits.bytes
    };
    let mut descriptors = vec![keyframe(7), short("s", 7 + 1, 1001)];
    descriptors.extend((0..16).map(customs));
    for descriptor in descriptors {
        let frame = known.read_late(&descriptor).unwrap();
        for active in 0..16 {
            let mut copy = [0xff; 128];
            let field = frame.active_field;
            let len = field.write(&descriptor, active, &mut copy).unwrap();
            assert!(len <= descriptor.len() + ActiveField::GROWTH_MAX);
            let written = known.read_late(&copy[..len]);
            assert_eq!(written, Ok(with_active(frame, active)), "{descriptor:?}");
            // Written again it stays as long.
            let mut again = [0; 128];
            let len_again = field.write(&copy[..len], !active, &mut again).unwrap();
            assert_eq!(len_again, len);
            let expected = with_active(frame, !active & 0b1111);
            assert_eq!(known.read_late(&again[..len]), Ok(expected));
            for room in 0..len {
                let full = field.write(&descriptor, active, &mut copy[..room]);
                assert_eq!(full, Err(BufferFull));
            }
        }
    }
}

#[test]
fn a_field_of_another_descriptor_does_no_harm() {
    let mut dependencies = Dependencies::new();
    let of_keyframe = dependencies.read(&keyframe(0)).unwrap().active_field;
    let of_other = dependencies.read(&short("", 1, 1)).unwrap().active_field;
    let mut copy = [0; 128];
    for len in 0..keyframe(0).len() {
        let _ = of_other.write(&keyframe(0)[..len], 1, &mut copy);
        let written = of_keyframe.write(&keyframe(0)[..len], 1, &mut copy);
        assert_eq!(written.is_ok(), len == 3, "{len} bytes");
    }
}

#[test]
fn a_stream_without_chains_and_sizes_is_read() {
    let templates: [TemplateOf<'_>; 2] = [((0, 0), "S", &[], &[]), ((0, 0), "S", &[1], &[])];
    let mut bits = Bits::default();
    bits.mandatory("se", 0, 0).put(0b10000, 5);
    structure(&mut bits, 0, &templates, &[], &[]);
    let mut dependencies = Dependencies::new();
    let frame = dependencies.read(&bits.bytes).unwrap();
    assert_eq!(frame.size, None);
    assert!(frame.chain_diffs().is_empty());
    let structure = dependencies.structure().unwrap();
    assert_eq!(structure.decode_targets(), [DecodeTarget::default()]);
}

#[test]
fn nothing_is_known_before_the_first_structure() {
    let mut dependencies = Dependencies::new();
    assert_eq!(dependencies.read(&short("s", 0, 1)), Err(ParseError::Value));
    assert_eq!(dependencies, Dependencies::new());
}

#[test]
fn cut_descriptors_are_refused_and_leave_no_trace() {
    let whole = keyframe(0);
    for len in 0..whole.len() {
        let mut dependencies = Dependencies::new();
        assert!(dependencies.read(&whole[..len]).is_err(), "{len} bytes");
        assert_eq!(dependencies, Dependencies::new());
    }
}

#[test]
fn a_late_structure_counts_for_its_own_packet_alone() {
    let mut dependencies = Dependencies::new();
    dependencies.read(&keyframe(20)).unwrap();
    let before = dependencies.clone();
    let late = dependencies.read_late(&keyframe(0)).unwrap();
    assert!(late.structure_attached);
    assert_eq!(dependencies, before);
}

#[test]
fn more_layers_templates_or_references_than_there_can_be_are_refused() {
    let with_layers = |next: &[u32]| {
        let mut bits = Bits::default();
        bits.mandatory("s", 0, 0)
            .put(0b10000, 5)
            .put(0, 6)
            .put(0, 5);
        for idc in next {
            bits.put(*idc, 2);
        }
        bits.put(0, 32);
        Dependencies::new().read(&bits.bytes)
    };
    assert_eq!(with_layers(&[1; 8]), Err(ParseError::Limit));
    assert_eq!(with_layers(&[2; 4]), Err(ParseError::Limit));
    assert_eq!(with_layers(&[0; 64]), Err(ParseError::Limit));

    let diffs = [1; FRAME_DIFFS_MAX + 1];
    let read = |diffs: &[u32]| {
        let mut bits = Bits::default();
        bits.mandatory("s", 0, 0).put(0b10000, 5);
        structure(&mut bits, 0, &[((0, 0), "S", diffs, &[])], &[], &[]);
        Dependencies::new().read(&bits.bytes)
    };
    assert_eq!(read(&diffs[1..]).unwrap().frame_diffs().count(), 8);
    assert_eq!(read(&diffs), Err(ParseError::Limit));
}

#[test]
fn the_largest_structure_is_read() {
    let indications = "R".repeat(DECODE_TARGETS_MAX);
    let chains = [15; DECODE_TARGETS_MAX];
    let template: TemplateOf<'_> = ((0, 0), &indications, &[16; FRAME_DIFFS_MAX], &chains);
    let templates = [template; 64];
    let protected_by: Vec<u32> = (0..32).collect();
    let mut bits = Bits::default();
    bits.mandatory("s", 63, 0).put(0b10000, 5);
    structure(&mut bits, 0, &templates, &protected_by, &[(65_536, 1)]);
    let mut dependencies = Dependencies::new();
    let frame = dependencies.read(&bits.bytes).unwrap();
    assert_eq!(frame.size, Some((65_536, 1)));
    assert_eq!(frame.chain_diffs(), [15; 32]);
    assert_eq!(frame.active_decode_targets, Some(u32::MAX));
    let last = dependencies.structure().unwrap().decode_targets()[31];
    assert_eq!(last.protected_by, Some(31));
}
