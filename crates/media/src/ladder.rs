//! The qualities of one track, from the smallest to the best.
//!
//! Simulcast gives a track several encodings, SVC one encoding several spatial layers, and each
//! may have temporal layers. A [`Rung`] is a choice among them. Rungs that show the picture in
//! the same size are one **step**: wishes and policies bound steps, bandwidth bounds rungs.

use crate::config::{Layer, LayerLimit};
use crate::encoding::Encoding;
use crate::facts::Size;

/// Height of the largest picture where a stream does not say its size, in pixels.
const LARGEST_HEIGHT: u16 = 720;
/// What an encoding is taken to cost before anything came of it, in bits per second, if there
/// is no smaller one to compare with.
const UNKNOWN_RATE_BPS: u64 = 150_000;
/// Otherwise so many times the one below: twice as wide and high, and more efficient.
const UNKNOWN_RATE_TIMES: u64 = 3;

/// One way to forward a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    /// Which of the track's encodings, lowest first.
    pub(crate) place: u8,
    /// What of it; the highest of each kind stands for all that there is.
    pub(crate) layer: Layer,
    /// Which size of the picture, 0 is the smallest.
    pub(crate) step: u8,
    /// Bits per second, headers included; of an encoding that does not flow, as it last was.
    pub(crate) rate_bps: u64,
    /// Width and height in pixels, if the stream said so.
    pub(crate) size: Option<Size>,
    pub(crate) state: RungState,
    /// It has layers that only receivers of dependency descriptors can tell apart.
    pub(crate) described_only: bool,
    /// It has a quarter of the images of its step, or fewer.
    pub(crate) sparse: bool,
}

/// Whether a rung can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RungState {
    /// It flows.
    Flows,
    /// It does not, because nobody wanted it: it comes when somebody does, or is about to.
    Asleep,
    /// Its publisher does not send it.
    Missing,
}

/// What names a rung among those of its track, in order of quality.
pub(crate) type RungKey = (u8, Layer);

impl Rung {
    pub(crate) const fn key(&self) -> RungKey {
        (self.place, self.layer)
    }
}

/// Lists the rungs of a track with these encodings, from the smallest to the best.
pub(crate) fn list<'a>(
    encodings: impl Iterator<Item = Option<&'a Encoding>>,
    rungs: &mut Vec<Rung>,
) {
    rungs.clear();
    for (place, encoding) in (0..).zip(encodings) {
        let Some(encoding) = encoding else { continue };
        let below = rungs.last().copied();
        let step = below.map_or(0, |rung| rung.step.saturating_add(1));
        let layers = encoding.meter.layers();
        let highest = layers.iter().last();
        let state = match encoding.lives() {
            true => RungState::Flows,
            false if encoding.woken.is_some() || !encoding.watched => RungState::Asleep,
            false => RungState::Missing,
        };
        let guess = below.map_or(UNKNOWN_RATE_BPS, |b| b.rate_bps * UNKNOWN_RATE_TIMES);
        let (Some(highest), RungState::Flows) = (highest, state) else {
            rungs.push(Rung {
                place,
                layer: Layer::TOP,
                step,
                rate_bps: encoding.last_rate_bps.unwrap_or(guess),
                size: encoding.facts.size(0),
                state,
                described_only: false,
                sparse: false,
            });
            continue;
        };
        let mut spatial_before = None;
        let mut step = step;
        for layer in layers.iter() {
            if spatial_before.is_some_and(|before| before != layer.spatial) {
                step = step.saturating_add(1);
            }
            spatial_before = Some(layer.spatial);
            // The first packets tell too little: they are believed only if it is much.
            let measured = encoding.meter.bits_per_second(layer);
            let rate_bps = if encoding.meter.is_settled() {
                measured
            } else {
                measured.max(encoding.last_rate_bps.unwrap_or(guess))
            };
            let faster = layers.of_spatial(layer.spatial).iter();
            // Each temporal layer doubles the images a second.
            let faster = faster
                .filter(|other| other.temporal > layer.temporal)
                .count();
            rungs.push(Rung {
                place,
                layer: Layer {
                    spatial: if layer.spatial == highest.spatial {
                        Layer::TOP.spatial
                    } else {
                        layer.spatial
                    },
                    temporal: if faster == 0 {
                        Layer::TOP.temporal
                    } else {
                        layer.temporal
                    },
                },
                step,
                rate_bps,
                size: encoding.facts.size(layer.spatial),
                state,
                described_only: layer.spatial > 0 && encoding.facts.are_described_only(),
                sparse: faster >= 2,
            });
        }
    }
}

/// The highest step within a limit.
pub(crate) fn highest_step(limit: LayerLimit, rungs: &[Rung]) -> u8 {
    match limit {
        LayerLimit::Best => u8::MAX,
        LayerLimit::Spatial(layer) => layer,
        LayerLimit::Small => 0,
        LayerLimit::Size { width, height } => smallest_covering(width, height, rungs),
    }
}

/// The smallest step that fills a tile of this size; the largest of all if none does. A picture
/// that is up to an eighth too small on each side will do: nobody sees that.
fn smallest_covering(width: u16, height: u16, rungs: &[Rung]) -> u8 {
    let top = rungs.last().map_or(0, |rung| rung.step);
    let covers = |rung: &&Rung| {
        let (w, h) = rung.size.unwrap_or_else(|| guessed_size(rung, rungs, top));
        let enough = |has: u16, wanted: u16| u32::from(has) * 8 >= u32::from(wanted) * 7;
        // Tiles crop, and pictures stand upright: one side is enough.
        enough(w, width) || enough(h, height)
    };
    rungs.iter().find(covers).map_or(u8::MAX, |rung| rung.step)
}

/// Each step is taken to be half as wide and high as the one above it.
fn guessed_size(rung: &Rung, rungs: &[Rung], top: u8) -> Size {
    let known = rungs.iter().rev().find_map(|r| Some((r.step, r.size?)));
    let (step, (width, height)) = known.unwrap_or((top, (LARGEST_HEIGHT / 9 * 16, LARGEST_HEIGHT)));
    let scale = |side: u16| {
        if rung.step >= step {
            side.saturating_mul(1 << (rung.step - step).min(8))
        } else {
            side >> (step - rung.step).min(8)
        }
    };
    (scale(width), scale(height))
}

/// Which steps are wanted: at least, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) floor: u8,
    pub(crate) ceiling: u8,
}

/// The best rung within `steps` and not above `allowed` that `may_take` takes; if there is none,
/// the lowest that it takes.
pub(crate) fn choose(
    rungs: &[Rung],
    steps: Steps,
    allowed: RungKey,
    may_take: impl Fn(&Rung) -> bool,
) -> Option<&Rung> {
    let mut able = rungs.iter().filter(|rung| may_take(rung));
    let lowest = able.clone().next();
    let within = able.rfind(|rung| rung.step <= steps.ceiling && rung.key() <= allowed);
    within.or(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(place: u8, spatial: u8, step: u8, size: Option<Size>) -> Rung {
        Rung {
            place,
            layer: Layer::new(spatial, 7),
            step,
            rate_bps: 0,
            size,
            state: RungState::Flows,
            described_only: false,
            sparse: false,
        }
    }

    fn simulcast(sizes: [Option<Size>; 3]) -> [Rung; 3] {
        [0, 1, 2].map(|n| rung(n, 3, n, sizes[usize::from(n)]))
    }

    fn step_for(width: u16, height: u16, rungs: &[Rung]) -> u8 {
        highest_step(LayerLimit::Size { width, height }, rungs).min(2)
    }

    #[test]
    fn a_size_is_the_smallest_picture_that_fills_it() {
        let rungs = simulcast([Some((320, 180)), Some((640, 360)), Some((1280, 720))]);
        assert_eq!(step_for(160, 90, &rungs), 0);
        assert_eq!(step_for(320, 180, &rungs), 0);
        assert_eq!(step_for(360, 202, &rungs), 0, "nearly");
        assert_eq!(step_for(400, 225, &rungs), 1);
        assert_eq!(step_for(960, 540, &rungs), 2);
        assert_eq!(step_for(3840, 2160, &rungs), 2);
    }

    #[test]
    fn an_upright_picture_fills_a_square_tile_by_its_width() {
        let rungs = simulcast([Some((180, 320)), Some((360, 640)), Some((720, 1280))]);
        assert_eq!(step_for(180, 180, &rungs), 0);
        assert_eq!(step_for(360, 700, &rungs), 1);
    }

    #[test]
    fn unknown_sizes_follow_from_known_ones() {
        let rungs = simulcast([None, Some((640, 360)), None]);
        assert_eq!(step_for(320, 180, &rungs), 0);
        assert_eq!(step_for(500, 281, &rungs), 1);
        assert_eq!(step_for(1000, 562, &rungs), 2);
        let rungs = simulcast([None, None, None]);
        assert_eq!(step_for(320, 180, &rungs), 0);
        assert_eq!(step_for(640, 360, &rungs), 1);
        assert_eq!(step_for(1280, 720, &rungs), 2);
    }

    #[test]
    fn the_best_within_the_bounds_is_chosen_or_else_the_lowest() {
        let mut rungs = simulcast([None; 3]);
        rungs[0].state = RungState::Missing;
        let chosen = |ceiling, allowed| {
            let steps = Steps { floor: 0, ceiling };
            choose(&rungs, steps, allowed, |r| r.state == RungState::Flows).map(|rung| rung.place)
        };
        assert_eq!(chosen(u8::MAX, (u8::MAX, Layer::TOP)), Some(2));
        assert_eq!(chosen(1, (u8::MAX, Layer::TOP)), Some(1));
        assert_eq!(chosen(u8::MAX, (1, Layer::TOP)), Some(1));
        assert_eq!(
            chosen(0, (u8::MAX, Layer::TOP)),
            Some(1),
            "the lowest that flows"
        );
    }
}
