//! What must hold for any bytes whatsoever: bodies of the fuzz targets, also run by the tests.
//!
//! Each takes arbitrary input and panics when an invariant of its module is broken.

use crate::ext::{ExtensionIds, ExtensionKind};
use crate::rtp::{HeaderWriter, RtpView, is_rtcp};
use crate::sdp::SessionDescription;

/// An RTP packet that is understood can be written again, and then reads the same.
pub fn rtp(data: &[u8]) {
    let _ = is_rtcp(data);
    let Ok(view) = RtpView::parse(data) else {
        return;
    };
    let parts = view.header_len() + view.payload().len() + view.padding_len();
    assert_eq!(
        parts,
        data.len(),
        "header, payload and padding make the packet"
    );
    for (id, element) in view.elements() {
        assert!(id != 0 && element.len() < 256, "elements are sane");
    }
    let mut ids = ExtensionIds::new();
    for (kind, id) in ExtensionKind::ALL.into_iter().zip(1..) {
        ids.set(kind, id);
    }
    let _ = view.extensions(&ids);

    // One-byte elements may have to take two bytes.
    let mut buffer = vec![0; 2 * data.len()];
    if buffer.len() > usize::from(u16::MAX) {
        return;
    }
    let Ok(mut writer) = HeaderWriter::new(&mut buffer, &view.header()) else {
        unreachable!("an RTP packet has at least 12 bytes");
    };
    for (id, element) in view.elements() {
        assert_eq!(writer.extension(id, element), Ok(()), "there is room");
    }
    let len = writer.finish();
    buffer.truncate(len);
    buffer.extend_from_slice(view.payload());
    let Ok(again) = RtpView::parse(&buffer) else {
        unreachable!("what is written can be read");
    };
    assert_eq!(again.header(), view.header(), "same numbers");
    assert_eq!(again.payload(), view.payload(), "same payload");
    assert!(again.elements().eq(view.elements()), "same extensions");
}

/// A session description that is understood survives being written and read again.
pub fn sdp(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let Ok(first) = SessionDescription::parse(text) else {
        return;
    };
    // Values of the session level are written once per m-line and may exceed a limit there.
    if let Ok(second) = SessionDescription::parse(&first.to_string()) {
        assert_eq!(first, second, "the same description");
    }
}

#[cfg(test)]
pub(crate) mod tests;
