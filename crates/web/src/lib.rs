//! The browser SDK and the pages, embedded.
//!
//! What is written in `sdk/` and `pages/` is what is served: plain ES modules, no build step. This
//! crate finds a file by the path of a request and says what it is; it knows no HTTP. A release
//! build carries the files within itself, a debug build reads them from the source tree, so that a
//! change shows on reload.

use std::borrow::Cow;
use std::fmt::Write as _;

use rust_embed::{EmbeddedFile, RustEmbed};

/// Files below `/sdk/`.
#[derive(RustEmbed)]
#[folder = "sdk/"]
struct Sdk;

/// Pages and what they load, below `/pages/`.
#[derive(RustEmbed)]
#[folder = "pages/"]
struct Pages;

/// A file as it goes to a browser.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its content.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type, with the charset of text.
    pub mime: &'static str,
    /// A strong entity tag with its quotes (RFC 9110 §8.8.3): changes when the content does.
    pub etag: String,
}

/// What the pages' `Content-Security-Policy` must allow: scripts, styles and connections of our own
/// origin, pictures and media also from memory, and WebSockets.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; \
    style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
    connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'self'";

/// Pages by their paths.
const PAGES: &[(&str, &str)] = &[
    ("", "meet.html"),
    ("console", "console.html"),
    ("desk", "desk.html"),
];

/// The file at a request's path: a page (`/` is Meet), or a file in `/sdk/...` and `/pages/...`.
/// `None` when there is none; pages are found only under their own path.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let page = PAGES.iter().find(|(at, _)| *at == path);
    let (file, name) = if let Some(&(_, name)) = page {
        (Pages::get(name)?, name)
    } else if let Some(name) = path.strip_prefix("sdk/") {
        (Sdk::get(name)?, name)
    } else {
        let name = path.strip_prefix("pages/")?;
        let is_page = name.ends_with(".html");
        (Pages::get(name).filter(|_| !is_page)?, name)
    };
    Some(Asset {
        etag: etag(&file),
        bytes: file.data,
        mime: mime(name),
    })
}

/// Paths of all files that [`asset`] finds, pages first.
pub fn paths() -> impl Iterator<Item = String> {
    let sdk = Sdk::iter().map(|name| format!("/sdk/{name}"));
    let pages = Pages::iter()
        .filter(|name| !name.ends_with(".html"))
        .map(|name| format!("/pages/{name}"));
    let entries = PAGES.iter().map(|(path, _)| format!("/{path}"));
    entries.chain(sdk).chain(pages)
}

fn etag(file: &EmbeddedFile) -> String {
    // 64 bits tell versions of one file apart.
    let mut tag = String::with_capacity(18);
    tag.push('"');
    for byte in file.metadata.sha256_hash().iter().take(8) {
        write!(tag, "{byte:02x}").expect("writing to a string does not fail");
    }
    tag.push('"');
    tag
}

fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => mime_guess::from_path(name)
            .first_raw()
            .unwrap_or("application/octet-stream"),
    }
}

#[cfg(test)]
mod tests;
