//! A tap: an interface of the host's whose other end is a descriptor
//! (`Documentation/networking/tuntap.rst` of the kernel).

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4,
};

use super::OFFLOADS;
use super::header::{HEADER_BYTES, Header};
use crate::devices::virtio::Readable;

/// The longest frame: an IPv4 packet of the greatest length (RFC 791), which TCP leaves to be cut
/// into segments, behind an Ethernet header with a VLAN's tag.
pub(super) const MAX_FRAME_BYTES: usize = 65535 + 18;

/// An open descriptor is no tap, or none that can be used.
#[derive(Debug, thiserror::Error)]
#[error("the tap can't be used")]
pub struct TapError(#[source] io::Error);

/// An open tap.
pub struct Tap {
    file: File,
    takes_offloads: bool,
}

impl Tap {
    /// Takes over a tap that was opened with `IFF_TAP`, `IFF_NO_PI` and `IFF_VNET_HDR`.
    ///
    /// # Errors
    ///
    /// When it was not.
    pub fn new(tap: OwnedFd) -> Result<Self, TapError> {
        let mut tap = Self {
            file: tap.into(),
            takes_offloads: false,
        };
        tap.set_header_bytes(HEADER_BYTES as libc::c_int)
            .and_then(|()| set_nonblocking(&tap.file))
            .map_err(TapError)?;
        // A kernel that does not know one of them refuses all.
        tap.takes_offloads = tap.set_offloads(OFFLOADS).is_ok();
        tap.set_offloads(0).map_err(TapError)?;
        Ok(tap)
    }

    /// Anything that keeps packets apart, in place of a tap: to be tested with.
    #[doc(hidden)]
    pub fn stand_in(packets: OwnedFd) -> Self {
        Self {
            file: packets.into(),
            takes_offloads: false,
        }
    }

    /// Whether the host can leave work to the guest.
    pub(super) fn takes_offloads(&self) -> bool {
        self.takes_offloads
    }

    /// Leaves that work to the guest that is among these features, and none else.
    pub(super) fn offload(&self, features: u64) -> io::Result<()> {
        match self.takes_offloads {
            true => self.set_offloads(features),
            false => Ok(()),
        }
    }

    /// Reads the next frame, with its header, to the start of `frame`; how long both are. `None`
    /// if there is none, or none that can be had.
    pub(super) fn receive(&self, frame: &mut [u8]) -> Option<usize> {
        loop {
            match (&self.file).read(frame) {
                Ok(bytes) if bytes > HEADER_BYTES => return Some(bytes),
                Ok(bytes) => tracing::debug!("network: {bytes} bytes from the tap are no frame"),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => {
                    tracing::debug!("network: nothing comes from the tap: {error}");
                    return None;
                }
            }
        }
    }

    /// Sends a frame, if that is possible.
    pub(super) fn send(&self, header: Header, frame: &Readable<'_>) {
        if let Err(error) = frame.write_behind(&header.0, &self.file) {
            tracing::debug!("network: a frame is lost: {error}");
        }
    }

    fn set_header_bytes(&self, bytes: libc::c_int) -> io::Result<()> {
        // SAFETY: TUNSETVNETHDRSZ reads an int, which lives through the call; the descriptor is
        // open.
        check(unsafe { libc::ioctl(self.as_raw_fd(), libc::TUNSETVNETHDRSZ, &bytes) })
    }

    fn set_offloads(&self, features: u64) -> io::Result<()> {
        let flags = [
            (VIRTIO_NET_F_GUEST_CSUM, libc::TUN_F_CSUM),
            (VIRTIO_NET_F_GUEST_TSO4, libc::TUN_F_TSO4),
            (VIRTIO_NET_F_GUEST_ECN, libc::TUN_F_TSO_ECN),
        ]
        .into_iter()
        .filter(|(feature, _)| features & 1 << feature != 0)
        .fold(0, |flags, (_, flag)| flags | flag);
        // SAFETY: TUNSETOFFLOAD takes a number; the descriptor is open.
        check(unsafe {
            libc::ioctl(
                self.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(flags),
            )
        })
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn set_nonblocking(file: &File) -> io::Result<()> {
    let nonblocking: libc::c_int = 1;
    // SAFETY: FIONBIO reads an int, which lives through the call; the descriptor is open.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FIONBIO, &nonblocking) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
