//! Development mode's key: made on the first start and kept, so that tokens and open pages survive a
//! restart.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::Keys;

/// Where the key is kept.
#[must_use]
pub fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("development-key")
}

/// Reads the key, or makes it, readable by its owner only.
///
/// # Errors
/// A folder or file that cannot be read or written, or that holds something else.
pub fn key(data_dir: &Path) -> anyhow::Result<Keys> {
    let path = key_file(data_dir);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => make(&path)?,
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    let keys = Keys::parse(&text).with_context(|| path.display().to_string())?;
    anyhow::ensure!(!keys.is_empty(), "{} is empty; remove it", path.display());
    Ok(keys)
}

fn make(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot make {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(context)?;
    }
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let text = format!("development: {secret}\n");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).with_context(context)?;
            Ok(text)
        }
        // Another process was faster.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            std::fs::read_to_string(path).with_context(context)
        }
        Err(e) => Err(e).with_context(context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_kept_and_private() {
        let folder = std::env::temp_dir().join(format!("crosspoint-{}", rand::random::<u64>()));
        let first = key(&folder).unwrap();
        let second = key(&folder).unwrap();
        assert_eq!(first.first(), second.first());
        assert_eq!(first.weak().count(), 0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = key_file(&folder).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
