//! A tap: an interface of the host's whose other end is a descriptor, for a machine that has a
//! network interface of its own (`Documentation/networking/tuntap.rst` of the kernel).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::error::Error;

/// Where taps are made.
pub(crate) const DEVICE: &str = "/dev/net/tun";

/// An open tap. The interface is gone when nobody has it open any more.
#[derive(Debug)]
pub struct Tap(File);

/// The name is taken, by whatever kind of interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken;

impl Tap {
    /// Makes one that is called `name`, in the network namespace of the calling thread. It is
    /// down, and frames come and go behind a header that says what is still to be done to them
    /// (`struct virtio_net_hdr`, `include/uapi/linux/virtio_net.h`).
    pub(crate) fn create(name: &str) -> Result<Result<Self, Taken>, Error> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(DEVICE)
            .map_err(Error::TapDevice)?;
        Self::create_by(file, name)
    }

    /// The same with [`DEVICE`] as it was opened before, in the network namespace of who opened it.
    pub(crate) fn create_by(file: File, name: &str) -> Result<Result<Self, Taken>, Error> {
        // SAFETY: `ifreq` is a C structure of integers, of which all zeros is a valid one.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // All but the last byte, which stays 0.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes an `ifreq`, which lives through the call; the
        // descriptor is open.
        match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request) } {
            0 => Ok(Ok(Self(file))),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EBUSY) => Ok(Err(Taken)),
                error => Err(Error::Tap(error)),
            },
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
