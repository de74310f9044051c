//! Recording: what taps bring becomes files that survive a crash, with a manifest beside them, and
//! the files get to where they are to be kept.
//!
//! ```text
//! tap -> reorder -> timeline -> frames -> file            one thread, [`Recorder`]
//!                                 |         |
//!                           gaps, totals   closed: checksums, composition, delivery   [`Finisher`]
//!                                 v         v
//!                               manifest.json                                         [`Manifest`]
//! ```
//! A recording is a folder: one Matroska or WebM file per track and codec, nothing transcoded, and
//! `manifest.json`, which says what is in them. The folder is the truth: after a crash everything is
//! found there. Files are readable at every moment; what is not written yet is at most a second.
//!
//! It knows nothing of rooms' permissions and HTTP: who is recorded is told by whoever holds the
//! [`Recorder`].

pub mod compose;
pub mod deliver;
pub mod manifest;
pub mod recorder;
pub mod verify;

mod depacketize;
mod disk;
mod file;
mod finish;
mod matroska;
mod recover;
mod reorder;
mod still;
mod tape;
mod timeline;

pub use finish::{Finished, Finisher};
pub use manifest::{Manifest, Mode, State};
pub use recorder::{Recorder, RecorderEvent};
pub use recover::unfinished;
pub use still::still;

use crosspoint_wire::time::NtpTime;

/// Microseconds since the Unix epoch, by the server's wall clock.
pub(crate) type Micros = i64;

/// The wall clock's reading as microseconds.
pub(crate) const fn unix_micros(ntp: NtpTime) -> Micros {
    let seconds = (ntp.0 >> 32) as u32;
    // Era 1 of NTP begins in 2036: differences modulo 2^32 are good until 2106.
    let seconds = seconds.wrapping_sub(2_208_988_800_u64 as u32);
    let micros = ((ntp.0 & 0xffff_ffff) * 1_000_000) >> 32;
    (seconds as i64) * 1_000_000 + micros as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_comes_through_ntp() {
        for unix in [0, 1_700_000_000_250_000, 2_500_000_000_999_999] {
            let micros = unix_micros(NtpTime::from_unix_micros(unix));
            assert!((micros - unix as i64).abs() <= 1, "{unix}: {micros}");
        }
    }
}
