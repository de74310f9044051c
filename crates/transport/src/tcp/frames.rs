//! RFC 4571 framing, the reading side: two bytes of length, then the packet.

use std::io::{self, Read};

/// Largest packet that a peer may send. All that browsers send fits an Ethernet frame; who
/// announces more is none of ours.
pub(crate) const FRAME_BYTES_MAX: usize = 2048;

/// Some frames fit at once, so that a busy connection is not read packet by packet.
const INBOX_BYTES: usize = 4 * (2 + FRAME_BYTES_MAX);

/// What was read from a connection and is not yet taken as frames.
pub(crate) struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Inbox {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; INBOX_BYTES].into(),
            start: 0,
            end: 0,
        }
    }

    /// Reads once. `false`: nothing is there now, or no room until frames are taken.
    ///
    /// # Errors
    ///
    /// The connection is over, by its end or by an error.
    pub(crate) fn read(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        if room.is_empty() {
            return Ok(false);
        }
        match stream.read(room) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The first whole frame, without taking it.
    ///
    /// # Errors
    ///
    /// A frame larger than any peer of ours sends is announced.
    pub(crate) fn peek(&self) -> Result<Option<&[u8]>, TooLarge> {
        let range = self.first_frame()?;
        Ok(range.and_then(|range| self.bytes.get(range)))
    }

    /// Takes the first whole frame.
    ///
    /// # Errors
    ///
    /// As [`Inbox::peek`].
    pub(crate) fn next_frame(&mut self) -> Result<Option<&mut [u8]>, TooLarge> {
        let Some(range) = self.first_frame()? else {
            return Ok(None);
        };
        self.start = range.end;
        Ok(self.bytes.get_mut(range))
    }

    fn first_frame(&self) -> Result<Option<std::ops::Range<usize>>, TooLarge> {
        let waiting = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((length, rest)) = waiting.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > FRAME_BYTES_MAX {
            return Err(TooLarge);
        }
        let start = self.start + 2;
        Ok((rest.len() >= length).then_some(start..start + length))
    }
}

/// A frame is larger than [`FRAME_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(lengths: &[usize]) -> Vec<u8> {
        let frame = |len: &usize| {
            let prefix = u16::try_from(*len).unwrap().to_be_bytes();
            [prefix.to_vec(), vec![*len as u8; *len]].concat()
        };
        lengths.iter().flat_map(frame).collect()
    }

    /// Reads `stream` in pieces of `piece` bytes and returns the lengths of the frames.
    fn lengths(stream: &[u8], piece: usize) -> Result<Vec<usize>, TooLarge> {
        let mut inbox = Inbox::new();
        let mut got = Vec::new();
        for mut piece in stream.chunks(piece) {
            while !piece.is_empty() {
                assert!(inbox.read(&mut piece).unwrap());
                while let Some(frame) = inbox.next_frame()? {
                    assert!(frame.iter().all(|byte| *byte == frame.len() as u8));
                    got.push(frame.len());
                }
            }
        }
        Ok(got)
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let sizes = [0, 1, 2, 20, 1500, FRAME_BYTES_MAX, 3, 1200, 1200, 1200, 700];
        let stream = framed(&sizes);
        for piece in [1, 2, 3, 7, 1000, 4096, stream.len()] {
            assert_eq!(lengths(&stream, piece), Ok(sizes.to_vec()), "{piece}");
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_refused_before_it_is_read() {
        let stream = framed(&[10, FRAME_BYTES_MAX + 1]);
        assert_eq!(lengths(&stream[..14], 14), Err(TooLarge));
    }

    #[test]
    fn end_of_stream_is_an_error_and_an_empty_socket_is_not() {
        struct Empty;
        impl Read for Empty {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
        let mut inbox = Inbox::new();
        assert!(!inbox.read(&mut Empty).unwrap());
        assert!(inbox.read(&mut io::empty()).is_err());
    }
}
