//! Real media: ffmpeg encodes synthetic pictures and tones, once, into files that are kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::Clip;

/// Length of what is encoded, in seconds; publishers repeat it.
const SECONDS: u32 = 10;

/// A size of the picture and the rate that it is encoded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// In kbit/s.
    pub kbps: u32,
}

/// What a browser sends as simulcast of 720p, smallest first.
pub const SIMULCAST: [Quality; 3] = [
    Quality {
        width: 320,
        height: 180,
        kbps: 150,
    },
    Quality {
        width: 640,
        height: 360,
        kbps: 500,
    },
    Quality {
        width: 1280,
        height: 720,
        kbps: 1700,
    },
];

/// VP8 with a keyframe at its start only: the next one is at the start of the repetition, and
/// wherever a receiver asks for one.
///
/// # Errors
/// Without ffmpeg, or when it fails.
pub fn video(cache: &Path, quality: Quality, fps: u32) -> Result<Clip> {
    let Quality {
        width,
        height,
        kbps,
    } = quality;
    let file = cache.join(format!("vp8-{width}x{height}-{fps}-{kbps}k.ivf"));
    let source = format!("testsrc2=size={width}x{height}:rate={fps}:duration={SECONDS}");
    let rate = format!("{kbps}k");
    let keyframes = (fps * SECONDS).to_string();
    ffmpeg(
        &file,
        &[
            "-f",
            "lavfi",
            "-i",
            &source,
            "-c:v",
            "libvpx",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-b:v",
            &rate,
            "-g",
            &keyframes,
            "-auto-alt-ref",
            "0",
            "-f",
            "ivf",
        ],
    )?;
    let frames = ivf_frames(&std::fs::read(&file)?)?;
    Ok(Clip::video(&frames, fps))
}

/// Opus, stereo, 48 kbit/s, packets of 20 ms.
///
/// # Errors
/// Without ffmpeg, or when it fails.
pub fn audio(cache: &Path) -> Result<Clip> {
    let file = cache.join("opus-48k.ogg");
    let source = format!("sine=frequency=330:beep_factor=3:duration={SECONDS}");
    ffmpeg(
        &file,
        &[
            "-f", "lavfi", "-i", &source, "-ac", "2", "-c:a", "libopus", "-b:a", "48k", "-f", "ogg",
        ],
    )?;
    let packets = ogg_packets(&std::fs::read(&file)?)?;
    Ok(Clip::audio(packets))
}

/// Encodes into `file` unless it is there.
fn ffmpeg(file: &Path, arguments: &[&str]) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished: PathBuf = file.with_extension("part");
    let status = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments)
        .arg(&unfinished)
        .stdin(Stdio::null())
        .status()
        .context("real media is made by ffmpeg (Debian package ffmpeg), which did not start")?;
    ensure!(status.success(), "ffmpeg ended with {status}");
    std::fs::rename(unfinished, file)?;
    Ok(())
}

/// The frames of an IVF file: a header of 32 bytes; then, per frame, its length in four bytes,
/// eight of time, and the frame.
fn ivf_frames(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let (header, mut rest) = bytes.split_at_checked(32).context("IVF: no header")?;
    ensure!(header.starts_with(b"DKIF"), "IVF: no signature");
    let mut frames = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let frame = after.get(8..8 + length).context("IVF: cut short")?;
        frames.push(frame.to_vec());
        rest = after.get(8 + length..).unwrap_or_default();
    }
    ensure!(!frames.is_empty(), "IVF: no frames");
    Ok(frames)
}

/// The packets of an Ogg stream (RFC 3533 §6) behind its two header packets (RFC 7845 §3).
fn ogg_packets(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    let mut packet = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(27).context("Ogg: cut short")?;
        ensure!(header.starts_with(b"OggS"), "Ogg: no page");
        let segments = usize::from(header[26]);
        let (lacing, mut body) = after.split_at_checked(segments).context("Ogg: cut short")?;
        for &length in lacing {
            let (segment, after) = body
                .split_at_checked(usize::from(length))
                .context("Ogg: cut short")?;
            packet.extend_from_slice(segment);
            body = after;
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = body;
    }
    if packets.len() < 3 {
        bail!("Ogg: no packets");
    }
    Ok(packets.split_off(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ivf_is_read_frame_by_frame() {
        let mut file = b"DKIF".to_vec();
        file.resize(32, 0);
        for frame in [&b"one"[..], b"three"] {
            file.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            file.extend_from_slice(&[0; 8]);
            file.extend_from_slice(frame);
        }
        assert_eq!(
            ivf_frames(&file).unwrap(),
            [b"one".to_vec(), b"three".to_vec()]
        );
        assert!(ivf_frames(&file[..file.len() - 1]).is_err());
    }

    #[test]
    fn ogg_packets_may_span_segments() {
        let mut file = b"OggS".to_vec();
        file.resize(26, 0);
        file.extend_from_slice(&[4, 1, 1, 255, 5]);
        file.extend_from_slice(&[1, 2]);
        file.extend_from_slice(&[9; 260]);
        assert_eq!(ogg_packets(&file).unwrap(), [vec![9; 260]]);
    }
}
