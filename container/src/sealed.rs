use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A program in memory that stays as it is, whoever tries to write to it: it is sealed
/// (`fcntl(2)`).
pub(crate) fn sealed(name: &CStr, mut program: impl Read) -> io::Result<OwnedFd> {
    let mut copy = File::from(executable_memory(name)?);
    io::copy(&mut program, &mut copy)?;
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(copy.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(copy.into())
}

/// A file in memory that can be executed also where that has to be asked for
/// (`vm.memfd_noexec=1`).
fn executable_memory(name: &CStr) -> nix::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | MFdFlags::from_bits_retain(libc::MFD_EXEC)) {
        // The kernel is older than 6.3, where nobody can ask, and all can be executed.
        Err(Errno::EINVAL) => memfd_create(name, flags),
        result => result,
    }
}
