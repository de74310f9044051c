//! EBML (RFC 8794): elements of a known size written to memory, and read from bytes.

/// Writes elements, back to back.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    /// An element with children.
    pub(super) fn master(&mut self, id: u32, children: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        children(&mut inner);
        self.binary(id, &inner.bytes);
    }

    /// An unsigned number in as few bytes as it needs.
    pub(super) fn uint(&mut self, id: u32, value: u64) {
        let bytes = value.to_be_bytes();
        let zeros = (value.leading_zeros() / 8).min(7) as usize;
        self.binary(id, bytes.get(zeros..).unwrap_or_default());
    }

    /// An unsigned number in eight bytes, so that it can be written over.
    pub(super) fn wide_uint(&mut self, id: u32, value: u64) {
        self.binary(id, &value.to_be_bytes());
    }

    pub(super) fn float(&mut self, id: u32, value: f64) {
        self.binary(id, &value.to_be_bytes());
    }

    pub(super) fn text(&mut self, id: u32, value: &str) {
        self.binary(id, value.as_bytes());
    }

    pub(super) fn binary(&mut self, id: u32, value: &[u8]) {
        self.id(id);
        self.size(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Fills exactly `len` bytes, at least 9, with nothing.
    pub(super) fn void(&mut self, len: usize) {
        self.id(VOID);
        // Id and eight bytes of size.
        let rest = len.saturating_sub(9);
        self.wide_size(rest as u64);
        self.bytes.resize(self.bytes.len() + rest, 0);
    }

    /// An id, its length marker included.
    pub(super) fn id(&mut self, id: u32) {
        let bytes = id.to_be_bytes();
        let zeros = (id.leading_zeros() / 8) as usize;
        self.bytes
            .extend_from_slice(bytes.get(zeros..).unwrap_or_default());
    }

    /// A size in as few bytes as it needs.
    pub(super) fn size(&mut self, size: u64) {
        // All ones would mean "unknown".
        let len = (1..8).find(|len| size < (1 << (7 * len)) - 1).unwrap_or(8);
        let marked = size | (1 << (7 * len));
        let bytes = marked.to_be_bytes();
        self.bytes
            .extend_from_slice(bytes.get(8 - len..).unwrap_or_default());
    }

    /// A size in eight bytes, so that it can be written over.
    pub(super) fn wide_size(&mut self, size: u64) {
        self.bytes
            .extend_from_slice(&((1 << 56) | size).to_be_bytes());
    }
}

pub(super) const VOID: u32 = 0xec;

/// The size of an element that ends where its parent or the file does.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// An element's id, the size of its content, and how many bytes both take. `None` when the bytes
/// end before, or are no EBML.
pub(super) fn read_head(bytes: &[u8]) -> Option<(u32, u64, usize)> {
    let first = *bytes.first()?;
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > 4 {
        return None;
    }
    let id = bytes
        .get(..id_len)?
        .iter()
        .fold(0, |id, &byte| (id << 8) | u32::from(byte));
    let rest = bytes.get(id_len..)?;
    let size_len = rest.first()?.leading_zeros() as usize + 1;
    if size_len > 8 {
        return None;
    }
    let marked = rest
        .get(..size_len)?
        .iter()
        .fold(0, |size, &byte| (size << 8) | u64::from(byte));
    let mask = (1_u64 << (7 * size_len)) - 1;
    let size = marked & mask;
    let size = if size == mask { UNKNOWN } else { size };
    Some((id, size, id_len + size_len))
}

/// The value of an unsigned number; 0 for one of more than eight bytes.
pub(super) fn read_uint(content: &[u8]) -> u64 {
    if content.len() > 8 {
        return 0;
    }
    content
        .iter()
        .fold(0, |value, &byte| (value << 8) | u64::from(byte))
}

/// The value of a float of 4 or 8 bytes.
pub(super) fn read_float(content: &[u8]) -> Option<f64> {
    if let Some(bytes) = content.first_chunk::<8>() {
        return Some(f64::from_be_bytes(*bytes));
    }
    content
        .first_chunk::<4>()
        .map(|bytes| f64::from(f32::from_be_bytes(*bytes)))
}

/// The children of an element whose content is in memory: id and content of each.
pub(super) fn children(mut content: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    core::iter::from_fn(move || {
        let (id, size, head) = read_head(content)?;
        let (child, rest) = content
            .get(head..)?
            .split_at_checked(usize::try_from(size).ok()?)?;
        content = rest;
        Some((id, child))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_as_few_bytes_as_they_need_and_come_back() {
        for (size, len) in [
            (0, 1),
            (126, 1),
            (127, 2),
            (16_382, 2),
            (16_383, 3),
            (1 << 40, 6),
            ((1 << 56) - 2, 8),
        ] {
            let mut writer = Writer::default();
            writer.id(0xa3);
            writer.size(size);
            assert_eq!(writer.bytes.len(), 1 + len, "{size}");
            assert_eq!(read_head(&writer.bytes), Some((0xa3, size, 1 + len)));
        }
    }

    #[test]
    fn a_void_fills_exactly_its_place() {
        for len in [9, 10, 70, 300] {
            let mut writer = Writer::default();
            writer.void(len);
            assert_eq!(writer.bytes.len(), len);
            assert_eq!(read_head(&writer.bytes), Some((VOID, len as u64 - 9, 9)));
        }
    }

    #[test]
    fn elements_nest() {
        let mut writer = Writer::default();
        writer.master(0x1549_a966, |info| {
            info.uint(0x002a_d7b1, 1_000_000);
            info.text(0x4d80, "app");
            info.float(0x4489, 1.5);
        });
        let (id, size, head) = read_head(&writer.bytes).unwrap();
        assert_eq!(id, 0x1549_a966);
        assert_eq!(writer.bytes.len(), head + size as usize);
        let found: Vec<_> = children(&writer.bytes[head..]).collect();
        assert_eq!(read_uint(found[0].1), 1_000_000);
        assert_eq!(found[1], (0x4d80, &b"app"[..]));
        assert_eq!(read_float(found[2].1), Some(1.5));
    }

    #[test]
    fn bytes_that_end_early_are_no_element() {
        let mut writer = Writer::default();
        writer.binary(0x1a45_dfa3, &[7; 200]);
        for len in 0..6 {
            assert_eq!(read_head(&writer.bytes[..len]), None);
        }
        assert_eq!(read_head(&[0x00, 0x81]), None);
        assert_eq!(children(&writer.bytes[..100]).count(), 0);
    }
}
