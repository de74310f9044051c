//! ffmpeg as a decoder of single pictures: a file goes in by a pipe, a picture comes out by another.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::PictureFormat;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest picture that is taken, in bytes.
const PICTURE_BYTES_MAX: u64 = 32 << 20;

/// Most pixels: 8K. A header that claims more is refused before memory is taken for it.
const PIXELS_MAX: &str = "33177600";

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// ffmpeg is not installed.
    Missing,
    /// It refused, took too long, or made too much.
    Failed,
}

/// Decodes the first picture of a Matroska file.
pub(super) async fn decode(file: &[u8], format: PictureFormat) -> Result<Bytes, DecodeError> {
    let codec: &[&str] = match format {
        PictureFormat::Webp => &["-c:v", "libwebp", "-quality", "85"],
        PictureFormat::Jpeg => &["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"],
        PictureFormat::Png => &["-c:v", "png"],
    };
    let spawned = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-threads", "1"])
        .args(["-max_pixels", PIXELS_MAX, "-protocol_whitelist", "pipe"])
        .args(["-f", "matroska", "-i", "pipe:0", "-an", "-frames:v", "1"])
        .args(codec)
        .args(["-f", "image2pipe", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(DecodeError::Missing);
        }
        Err(error) => {
            tracing::warn!(%error, "ffmpeg cannot be started");
            return Err(DecodeError::Failed);
        }
    };
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(DecodeError::Failed);
    };
    let mut picture = Vec::new();
    let mut output = output.take(PICTURE_BYTES_MAX + 1);
    let work = async {
        let feed = async {
            // It may have seen enough before the end.
            let _ = input.write_all(file).await;
            drop(input);
        };
        let ((), read) = tokio::join!(feed, output.read_to_end(&mut picture));
        read.is_ok() && child.wait().await.is_ok_and(|status| status.success())
    };
    let done = tokio::time::timeout(TIMEOUT, work).await;
    let whole = !picture.is_empty() && picture.len() as u64 <= PICTURE_BYTES_MAX;
    if done == Ok(true) && whole {
        Ok(Bytes::from(picture))
    } else {
        Err(DecodeError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_picture_is_refused() {
        let outcome = decode(b"no picture", PictureFormat::Png).await;
        assert_eq!(outcome, Err(DecodeError::Failed));
    }
}
