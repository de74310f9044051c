//! How good speech sounds, estimated from the network: a mean opinion score of 1 (bad) to 4.4.
//!
//! The E-model of ITU-T G.107 with its default values, reduced to what a network changes:
//!
//! ```text
//! R      = 93.2 - Id - Ie,eff
//! Id     = 0.024 d + 0.11 (d - 177.3) H(d - 177.3)      d: one-way delay in ms
//! Ie,eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)             Ppl: loss in per cent
//! MOS    = 1 + 0.035 R + 7e-6 R (R - 60) (100 - R)      for 0 < R < 100
//! ```
//! Id is the reduction of Cole and Rosenbluth, "Voice over IP performance monitoring" (ACM CCR 31(2),
//! 2001); Ie,eff is G.107 §7.4 for random loss; MOS is G.107 Annex B. For Opus no Ie and Bpl are
//! standardised: Ie = 0 and Bpl = 25.1 are those of G.711 with packet loss concealment (G.113
//! Appendix I), which Opus surpasses. So this says what the *network* costs, and cautiously.

/// Delay of encoder, packet and decoder in ms: 20 ms packets with Opus' look-ahead of 6.5 ms.
const CODEC_DELAY_MS: f64 = 26.5;

/// A jitter buffer holds about so many times the interarrival jitter.
const JITTER_BUFFER_FACTOR: f64 = 2.0;

const IE: f64 = 0.0;
const BPL: f64 = 25.1;

/// The score of a stream with this round trip and jitter in ms, and this share of packets lost (0
/// to 1) after repair.
pub(super) fn mos(rtt_ms: f64, jitter_ms: f64, loss: f64) -> f64 {
    let delay = rtt_ms / 2.0 + JITTER_BUFFER_FACTOR * jitter_ms + CODEC_DELAY_MS;
    let id = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let loss_percent = loss.clamp(0.0, 1.0) * 100.0;
    let ie_eff = IE + (95.0 - IE) * loss_percent / (loss_percent + BPL);
    let r = (93.2 - id - ie_eff).clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r);
    score.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::mos;

    #[test]
    fn a_good_network_is_good_and_each_trouble_costs() {
        let good = mos(20.0, 1.0, 0.0);
        assert!((4.3..=4.41).contains(&good), "{good}");
        // R = 93.2 - 0.024 * 26.5.
        assert!((mos(0.0, 0.0, 0.0) - 4.396).abs() < 0.01);
        // 5 % of loss: Ie,eff = 15.8, R = 76.5: "some users dissatisfied" (G.107 Annex B).
        let lossy = mos(20.0, 1.0, 0.05);
        assert!((3.8..3.95).contains(&lossy), "{lossy}");
        assert!(mos(800.0, 1.0, 0.0) < 3.3);
        assert!(mos(20.0, 100.0, 0.0) < good);
        assert!(mos(100_000.0, 0.0, 1.0) >= 1.0);
    }

    #[test]
    fn it_only_falls_with_loss() {
        let scores: Vec<f64> = (0..=100)
            .map(|percent| mos(50.0, 5.0, f64::from(percent) / 100.0))
            .collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    }
}
