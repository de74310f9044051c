//! Which layers an encoding brings, and what each costs, over a sliding window.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::config::Layer;
use crate::facts::FrameFacts;
use crate::layer::LayerSet;

/// The window is this many slices long. Two seconds: shorter, and every keyframe looks like a
/// change of the bitrate; longer, and a layer that stopped is missed late.
const SLICES: usize = 4;
const SLICE: Duration = Duration::from_millis(500);
/// What a packet costs beside its payload: IP, UDP, RTP with extensions, authentication tag.
const PACKET_OVERHEAD: u32 = 76;
/// Kinds of frames that are told apart. Three spatial and three temporal layers are nine, and as
/// many again at keyframes; a stream with more is measured in part.
const KINDS_MAX: usize = 24;

/// Frames that go to the same receivers.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    layer: Layer,
    present: LayerSet,
    bytes: [u32; SLICES],
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct LayerMeter {
    /// The first `len` are in use.
    kinds: [Kind; KINDS_MAX],
    len: usize,
    /// When the slice began that is being filled, and which it is.
    slice_began: Time,
    slice: usize,
    /// Slices filled before it, at most all others.
    filled: usize,
    latest: Time,
}

impl Default for LayerMeter {
    fn default() -> Self {
        Self {
            kinds: [Kind::default(); KINDS_MAX],
            len: 0,
            slice_began: Time::ZERO,
            slice: 0,
            filled: 0,
            latest: Time::ZERO,
        }
    }
}

impl LayerMeter {
    /// Counts a packet.
    pub(crate) fn record(&mut self, now: Time, facts: &FrameFacts, payload_len: usize) {
        if now.since(self.slice_began) >= SLICE {
            self.turn(now);
        }
        self.latest = now;
        let layer = Layer::new(facts.spatial, facts.temporal);
        let present = facts.present;
        let is_it = |kind: &Kind| kind.present == present && kind.layer == layer;
        let slice = self.slice;
        let known = self.kinds.iter_mut().take(self.len).find(|k| is_it(k));
        let kind = match known {
            Some(kind) => kind,
            None => match self.kinds.get_mut(self.len) {
                Some(kind) => {
                    self.len += 1;
                    *kind = Kind {
                        layer,
                        present,
                        ..Kind::default()
                    };
                    kind
                }
                None => return,
            },
        };
        if let Some(bytes) = kind.bytes.get_mut(slice) {
            let len = u32::try_from(payload_len).unwrap_or(u32::MAX);
            *bytes = bytes.saturating_add(len).saturating_add(PACKET_OVERHEAD);
        }
    }

    /// Layers of which anything came within the window.
    pub(crate) fn layers(&self) -> LayerSet {
        let mut layers = LayerSet::NONE;
        for kind in self.used() {
            layers.insert(kind.layer);
        }
        layers
    }

    /// Bits per second, headers included, of what a receiver of `layer` gets.
    pub(crate) fn bits_per_second(&self, layer: Layer) -> u64 {
        let bytes: u64 = self
            .used()
            .filter(|kind| kind.present.contains(layer))
            .flat_map(|kind| kind.bytes)
            .map(u64::from)
            .sum();
        // A stream begins with a keyframe: the first half second tells too much.
        let window = SLICE * self.filled as u32 + self.latest.since(self.slice_began);
        bytes * 8 * 1000 / (window.max(SLICE).as_millis() as u64)
    }

    /// Whether it has measured for at least half a second.
    pub(crate) fn is_settled(&self) -> bool {
        self.filled > 0
    }

    fn used(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter().take(self.len)
    }

    /// Goes on to the slice of `now`, forgetting what is older than the window.
    #[cold]
    fn turn(&mut self, now: Time) {
        let passed = now.since(self.slice_began);
        if passed >= SLICE * SLICES as u32 || self.len == 0 {
            // Everything is too old, or it is the first packet.
            self.len = 0;
            self.filled = 0;
            self.slice_began = now;
            return;
        }
        let slices = (passed.as_millis() / SLICE.as_millis()) as u32;
        for _ in 0..slices {
            self.slice = (self.slice + 1) % SLICES;
            self.filled = (self.filled + 1).min(SLICES - 1);
            for kind in &mut self.kinds {
                kind.bytes[self.slice] = 0;
            }
        }
        self.slice_began += SLICE * slices;
        let mut kept = 0;
        for index in 0..self.len {
            if self.kinds[index].bytes != [0; SLICES] {
                self.kinds[kept] = self.kinds[index];
                kept += 1;
            }
        }
        self.len = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(temporal: u8) -> FrameFacts {
        FrameFacts {
            temporal,
            present: LayerSet::from(Layer::new(0, temporal)),
            ..FrameFacts::default()
        }
    }

    /// 25 pictures a second of 924 bytes: the base layer, and one above it with twice as many.
    fn run(meter: &mut LayerMeter, from_ms: u64, pictures: u64, layers: u8) {
        for n in 0..pictures {
            let now = Time::from_millis(from_ms + n * 40);
            let temporal = u8::from(n % 3 != 0).min(layers - 1);
            meter.record(now, &facts(temporal), 924);
        }
    }

    #[test]
    fn a_layer_costs_what_it_and_those_below_it_bring() {
        let mut meter = LayerMeter::default();
        run(&mut meter, 10_000, 150, 2);
        let all = meter.bits_per_second(Layer::TOP);
        assert!(all.abs_diff(200_000) < 8_000, "{all}");
        let base = meter.bits_per_second(Layer::new(0, 0));
        assert!(base.abs_diff(66_666) < 6_000, "{base}");
        assert_eq!(meter.layers().iter().count(), 2);
    }

    #[test]
    fn a_layer_that_stopped_is_forgotten() {
        let mut meter = LayerMeter::default();
        run(&mut meter, 10_000, 100, 2);
        run(&mut meter, 14_000, 63, 1);
        assert_eq!(meter.layers().iter().count(), 1);
    }

    #[test]
    fn after_a_pause_it_begins_anew() {
        let mut meter = LayerMeter::default();
        run(&mut meter, 10_000, 100, 1);
        meter.record(Time::from_millis(60_000), &facts(0), 924);
        assert_eq!(meter.bits_per_second(Layer::TOP), 16_000);
    }

    #[test]
    fn a_stream_of_ever_new_kinds_of_frames_takes_no_more_room() {
        let mut meter = LayerMeter::default();
        for n in 0..=255 {
            let mut facts = facts(0);
            facts.present = LayerSet::NONE;
            facts.present.insert(Layer::new(n % 4, n / 4 % 8));
            facts.spatial = n % 3;
            meter.record(Time::from_millis(10_000), &facts, 100);
        }
        assert!(meter.layers().iter().count() <= 3);
    }
}
