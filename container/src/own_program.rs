use std::env;
use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, SealFlag, fcntl};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::execveat;

use crate::error::Error;
use crate::sealed::sealed;

const THIS_PROGRAM: &CStr = c"/proc/self/exe";

/// The first argument of a program that was executed by [`protect_own_program`].
const PROTECTED: &CStr = c"jaula-exec";

/// Has this program be executed from where nobody can write to its file, before it enters a
/// container in which others run: starts it anew from there, with the same arguments and
/// environment. Returns if it is there. To be called before anything is done, while there is one
/// thread.
///
/// They see the file in `/proc/PID/exe` until the process has executed their command, and root in
/// a container is the user who may write to it, if it is root's: so it would be replaced by
/// whatever is to run on the host next time (CVE-2019-5736). Where it is executed from is the file
/// on a mount of its own that is read-only, which takes less than 0.1 ms; where mounts can't be
/// made, it is a copy in memory that can't be changed any more.
///
/// # Errors
///
/// When neither can be had.
pub fn protect_own_program() -> Result<(), Error> {
    protect().map_err(Error::OwnProgram)
}

fn protect() -> io::Result<()> {
    if is_protected(&File::open("/proc/self/exe")?)? {
        return Ok(());
    }
    let c_string = |string: OsString| CString::new(string.into_vec());
    let given = env::args_os()
        .map(c_string)
        .collect::<Result<Vec<_>, _>>()?;
    if given
        .first()
        .is_some_and(|name| name.as_c_str() == PROTECTED)
    {
        // It would go on like this for ever.
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut arguments = vec![PROTECTED.to_owned()];
    arguments.extend(given.into_iter().skip(1));
    let variables = env::vars_os()
        .map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'=')))
        .collect::<Result<Vec<_>, _>>()?;
    let program = own_program()?;
    let flags = AtFlags::AT_EMPTY_PATH;
    match execveat(&program, c"", &arguments, &variables, flags)? {}
}

/// Whether nobody can write to a program: it is on a mount that is read-only, or sealed.
fn is_protected(program: &File) -> io::Result<bool> {
    if fstatvfs(program)?.flags().contains(FsFlags::ST_RDONLY) {
        return Ok(true);
    }
    // What is no file in memory has no seals.
    let seals = fcntl(program, FcntlArg::F_GET_SEALS).unwrap_or_default();
    Ok(SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_WRITE))
}

/// This program, as a descriptor through which nobody can write to its file.
fn own_program() -> io::Result<OwnedFd> {
    match mounted_read_only(THIS_PROGRAM) {
        Err(Errno::EPERM) => copied(),
        result => Ok(result?),
    }
}

/// A second mount of the file, attached nowhere. It is gone with the last descriptor and the last
/// process that executes it.
fn mounted_read_only(program: &CStr) -> Result<OwnedFd, Errno> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a C string.
    let mount =
        unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, program.as_ptr(), flags) };
    let mount = Errno::result(mount)?;
    // SAFETY: the kernel has made the descriptor, and nothing else owns it.
    let mount = unsafe { OwnedFd::from_raw_fd(mount as libc::c_int) };
    // SAFETY: mount_attr is plain numbers, for which all zero is valid.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    // SAFETY: the path is an empty C string; `attributes` lives through the call, with its own
    // size.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(set)?;
    Ok(mount)
}

/// A copy that nobody can write to.
fn copied() -> io::Result<OwnedFd> {
    sealed(c"jaula", File::open("/proc/self/exe")?)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::OpenOptions;
    use std::io::{Read, Write};

    use super::*;

    /// Tries what a process can that sees the descriptor in `/proc`.
    fn overwrite(program: &OwnedFd) -> io::Result<()> {
        let path = format!("/proc/self/fd/{}", program.as_raw_fd());
        OpenOptions::new().write(true).open(path)?.write_all(b"#!")
    }

    fn reopened(program: &OwnedFd) -> File {
        File::open(format!("/proc/self/fd/{}", program.as_raw_fd())).unwrap()
    }

    fn is_this_program(program: &OwnedFd) -> bool {
        let path = format!("/proc/self/fd/{}", program.as_raw_fd());
        let mut bytes = [Vec::new(), Vec::new()];
        for (path, bytes) in ["/proc/self/exe", &path].into_iter().zip(&mut bytes) {
            File::open(path).unwrap().read_to_end(bytes).unwrap();
        }
        bytes[0] == bytes[1]
    }

    #[test]
    fn nothing_is_written_through_the_mount() {
        // Not this program: what is being executed can't be written to anyway.
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"program").unwrap();
        let path = CString::new(file.path().as_os_str().as_encoded_bytes()).unwrap();
        let program = match mounted_read_only(&path) {
            Err(Errno::EPERM) => {
                eprintln!("SKIPPED, needs root: a mount of the own program");
                return;
            }
            program => program.unwrap(),
        };
        let error = overwrite(&program).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EROFS));
        assert!(is_protected(&reopened(&program)).unwrap());
        assert!(!is_protected(file.as_file()).unwrap());
    }

    #[test]
    fn nothing_is_written_to_the_copy() {
        let program = copied().unwrap();
        let error = overwrite(&program).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        assert!(is_protected(&reopened(&program)).unwrap());
        assert!(is_this_program(&program));
    }
}
