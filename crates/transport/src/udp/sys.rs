//! `recvmmsg`, `sendmmsg`, `UDP_GRO` and `UDP_SEGMENT`: the unsafe part, behind safe functions.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::slice::ChunksExactMut;

use libc::{c_int, c_uint, iovec, mmsghdr, msghdr, socklen_t};

use super::recv::Received;
use super::runs::Runs;

/// Runs per `sendmmsg`.
const SEND_MESSAGES: usize = 64;
/// Pieces of memory per `sendmmsg`.
const SEND_VECTORS: usize = 512;

/// Whether the kernel, and whatever filters its calls, knows `sendmmsg`.
pub(super) fn has_batches(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: with no messages the pointer is not followed.
    let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), ptr::null_mut(), 0, 0) };
    sent == 0
}

/// Lets one receive return several datagrams of one source.
pub(super) fn enable_gro(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Whether the kernel knows `UDP_SEGMENT`. Leaves it off by default.
pub(super) fn has_gso(fd: BorrowedFd<'_>) -> bool {
    set_option(fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
}

/// Asks for buffers of `bytes` both ways: beyond the system's limit if permitted, else up to it.
pub(super) fn enlarge_buffers(fd: BorrowedFd<'_>, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    for (force, plain) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ] {
        if set_option(fd, libc::SOL_SOCKET, force, bytes).is_err() {
            // Takes what it can; smaller buffers are no reason not to start.
            let _ = set_option(fd, libc::SOL_SOCKET, plain, bytes);
        }
    }
}

fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: `value` is alive and as long as said.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A socket address as the kernel writes and reads it.
#[derive(Clone, Copy)]
#[repr(C)]
union RawAddress {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    const BYTES: socklen_t = size_of::<Self>() as socklen_t;

    fn empty() -> Self {
        // SAFETY: plain numbers, for which zero is a value.
        unsafe { zeroed() }
    }

    fn new(address: SocketAddr) -> (Self, socklen_t) {
        let mut raw = Self::empty();
        match address {
            SocketAddr::V4(address) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from(*address.ip()).to_be(),
                    },
                    sin_zero: [0; 8],
                };
                (raw, size_of::<libc::sockaddr_in>() as socklen_t)
            }
            SocketAddr::V6(address) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.ip().octets(),
                    },
                    sin6_scope_id: address.scope_id(),
                };
                (raw, size_of::<libc::sockaddr_in6>() as socklen_t)
            }
        }
    }

    fn get(&self) -> Option<SocketAddr> {
        // SAFETY: both structures begin with the family, every byte of the union is initialised
        // (`empty`), and all their fields are plain numbers.
        unsafe {
            match c_int::from(self.family) {
                libc::AF_INET => Some(SocketAddr::V4(SocketAddrV4::new(
                    Ipv4Addr::from(u32::from_be(self.v4.sin_addr.s_addr)),
                    u16::from_be(self.v4.sin_port),
                ))),
                libc::AF_INET6 => Some(SocketAddr::V6(SocketAddrV6::new(
                    Ipv6Addr::from(self.v6.sin6_addr.s6_addr),
                    u16::from_be(self.v6.sin6_port),
                    0,
                    self.v6.sin6_scope_id,
                ))),
                _ => None,
            }
        }
    }
}

/// Room for the one control message that we send or understand, aligned as `cmsghdr` wants.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// What `recvmmsg` fills besides the datagrams. The pointers in it are set anew at each call.
pub(super) struct RecvScratch {
    headers: Box<[mmsghdr]>,
    vectors: Box<[iovec]>,
    names: Box<[RawAddress]>,
    controls: Box<[Control]>,
}

impl RecvScratch {
    pub(super) fn new(messages: usize) -> Self {
        Self {
            headers: empty_headers(messages),
            vectors: empty_vectors(messages),
            names: vec![RawAddress::empty(); messages].into(),
            controls: vec![Control([0; 64]); messages].into(),
        }
    }

    /// Fills `slots`, one message each, and describes them in `received`: a message that is
    /// malformed has length 0. Returns how many messages there were.
    pub(super) fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        slots: ChunksExactMut<'_, u8>,
        received: &mut Vec<Received>,
    ) -> io::Result<usize> {
        let mut count = 0;
        let rooms = self.vectors.iter_mut().zip(&mut self.names);
        let rooms = rooms.zip(&mut self.controls).zip(slots);
        for (header, (((vector, name), control), slot)) in self.headers.iter_mut().zip(rooms) {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = slot.len();
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = RawAddress::BYTES;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut *control).cast();
            header.msg_controllen = size_of::<Control>();
            header.msg_flags = 0;
            count += 1;
        }
        // SAFETY: the first `count` headers point to names, controls and slots that are alive,
        // distinct, as long as the headers say, and not touched until the call returns.
        let got = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for (header, name) in self.headers.iter().zip(&self.names).take(got) {
            let len = header.msg_len as usize;
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            let source = name.get().filter(|_| !cut);
            received.push(Received {
                source: source
                    .unwrap_or(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))),
                len: if source.is_some() { len } else { 0 },
                segment: gro_segment(&header.msg_hdr).unwrap_or(len).max(1),
            });
        }
        Ok(got)
    }
}

/// Length of the datagrams that the kernel joined into one message.
fn gro_segment(header: &msghdr) -> Option<usize> {
    // SAFETY: `receive` pointed the header at a `Control`, and the kernel wrote whole control
    // messages there and how long they are; the macros stay within that.
    let mut cursor = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: as above; null at the end.
    while let Some(message) = unsafe { cursor.as_ref() } {
        if message.cmsg_level == libc::SOL_UDP && message.cmsg_type == libc::UDP_GRO {
            // SAFETY: a UDP_GRO message holds an int; it need not be aligned.
            let value = unsafe { libc::CMSG_DATA(cursor).cast::<c_int>().read_unaligned() };
            return usize::try_from(value).ok();
        }
        // SAFETY: as above.
        cursor = unsafe { libc::CMSG_NXTHDR(header, cursor) };
    }
    None
}

/// What `sendmmsg` reads besides the datagrams. The pointers in it are set anew at each call.
pub(super) struct SendScratch {
    headers: Box<[mmsghdr]>,
    vectors: Box<[iovec]>,
    names: Box<[RawAddress]>,
    controls: Box<[Control]>,
}

impl SendScratch {
    pub(super) fn new() -> Self {
        Self {
            headers: empty_headers(SEND_MESSAGES),
            vectors: empty_vectors(SEND_VECTORS),
            names: vec![RawAddress::empty(); SEND_MESSAGES].into(),
            controls: vec![Control([0; 64]); SEND_MESSAGES].into(),
        }
    }

    /// Sends waiting runs over `slab` in one call. Returns how many of them were taken.
    pub(super) fn send(
        &mut self,
        fd: BorrowedFd<'_>,
        slab: &[u8],
        runs: &Runs,
    ) -> io::Result<usize> {
        let count = self.describe(slab, runs);
        // SAFETY: the first `count` headers point to names, controls and pieces of `slab` that
        // are alive and as long as the headers say; the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Fills the headers. Returns for how many runs there was room.
    fn describe(&mut self, slab: &[u8], runs: &Runs) -> usize {
        let mut count = 0;
        let mut vectors = &mut self.vectors[..];
        let rooms = self.names.iter_mut().zip(&mut self.controls);
        let rooms = self.headers.iter_mut().zip(rooms);
        for (run, (header, (name, control))) in runs.waiting().iter().zip(rooms) {
            let rest = std::mem::take(&mut vectors);
            // A run alone always fits: it has fewer packets than there are vectors.
            let Some((own, rest)) = rest.split_at_mut_checked(usize::from(run.count)) else {
                break;
            };
            vectors = rest;
            let mut used = 0;
            for (vector, range) in own.iter_mut().zip(pieces(runs.packets(run))) {
                let piece = slab.get(range).unwrap_or_default();
                vector.iov_base = piece.as_ptr().cast_mut().cast();
                vector.iov_len = piece.len();
                used += 1;
            }
            let (address, address_len) = RawAddress::new(run.to);
            *name = address;
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = address_len;
            header.msg_iov = own.as_mut_ptr();
            header.msg_iovlen = used;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            header.msg_flags = 0;
            if run.count > 1 {
                set_segment(header, control, run.segment);
            }
            count += 1;
        }
        count
    }
}

/// Joins packets that lie side by side, so that the kernel has less to walk.
fn pieces(
    packets: impl Iterator<Item = std::ops::Range<usize>>,
) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut packets = packets.peekable();
    std::iter::from_fn(move || {
        let mut piece = packets.next()?;
        while let Some(next) = packets.next_if(|next| next.start == piece.end) {
            piece.end = next.end;
        }
        Some(piece)
    })
}

/// Asks for the message to be cut into datagrams of `segment` bytes.
fn set_segment(header: &mut msghdr, control: &mut Control, segment: u16) {
    const VALUE_BYTES: c_uint = size_of::<u16>() as c_uint;
    header.msg_control = (&raw mut *control).cast();
    // SAFETY: plain arithmetic.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(VALUE_BYTES) } as usize;
    // SAFETY: the control buffer is aligned for `cmsghdr` and larger than the one message.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(VALUE_BYTES) as usize;
        libc::CMSG_DATA(message)
            .cast::<u16>()
            .write_unaligned(segment);
    }
}

fn empty_headers(count: usize) -> Box<[mmsghdr]> {
    // SAFETY: numbers and pointers, for which zero is a value.
    vec![unsafe { zeroed() }; count].into()
}

fn empty_vectors(count: usize) -> Box<[iovec]> {
    // SAFETY: a number and a pointer, for which zero is a value.
    vec![unsafe { zeroed::<iovec>() }; count].into()
}
