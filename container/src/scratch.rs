use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use entry::{Failure, Privileges, Step};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, mkdir};

use crate::error::Error;
use crate::namespaces::failure;

/// Where the workload's writes go: a tmpfs that only the container's mount namespace has.
///
/// It is charged to the container's cgroup, as a guest's overlay is to the guest, and it is gone
/// with the last process, whoever else dies: there is nothing on a disk to be cleared.
pub(crate) struct Scratch {
    /// A directory that the tmpfs is mounted on.
    dir: CString,
    upper: CString,
    work: CString,
    /// Mode and owner of the image's root, which the root of an overlay has from its upper
    /// directory. Without other IDs the owner can only be the caller.
    mode: Mode,
    owner: Option<(Uid, Gid)>,
}

impl Scratch {
    pub(crate) fn new(dir: &Path, image: &Path, privileges: Privileges) -> Result<Self, Error> {
        let like = fs::metadata(image).map_err(|source| Error::RootFs {
            dir: image.to_owned(),
            source,
        })?;
        let owner = privileges
            .has_many_ids()
            .then(|| (Uid::from_raw(like.uid()), Gid::from_raw(like.gid())));
        Ok(Self {
            dir: c_path(dir.to_owned())?,
            upper: c_path(dir.join("upper"))?,
            work: c_path(dir.join("work"))?,
            mode: Mode::from_bits_truncate(like.mode()),
            owner,
        })
    }

    /// Where else than in the overlay's directories there is room, once it is mounted.
    pub(crate) fn dir(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.dir.as_bytes()))
    }

    /// The overlay's upper directory, once it is mounted.
    pub(crate) fn upper(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.upper.as_bytes()))
    }

    /// The overlay's work directory, once it is mounted.
    pub(crate) fn work(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.work.as_bytes()))
    }

    /// Mounts it, in the child. Makes system calls and nothing else.
    pub(crate) fn mount(&self) -> Result<(), Failure> {
        // Before anything is mounted: nothing of it may reach another mount namespace.
        mount(
            None::<&CStr>,
            c"/",
            None::<&CStr>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&CStr>,
        )
        .map_err(|errno| failure(Step::PrivateMounts, errno))?;
        self.try_mount()
            .map_err(|errno| failure(Step::Scratch, errno))
    }

    fn try_mount(&self) -> Result<(), Errno> {
        mount(
            Some(c"tmpfs"),
            self.dir.as_c_str(),
            Some(c"tmpfs"),
            MsFlags::empty(),
            Some(c"mode=0700"),
        )?;
        mkdir(self.work.as_c_str(), Mode::S_IRWXU)?;
        mkdir(self.upper.as_c_str(), Mode::S_IRWXU)?;
        if let Some((uid, gid)) = self.owner {
            chown(self.upper.as_c_str(), Some(uid), Some(gid))?;
        }
        // Not by mkdir, which is subject to the launcher's umask.
        // SAFETY: the path is a C string.
        Errno::result(unsafe { libc::chmod(self.upper.as_ptr(), self.mode.bits()) }).map(drop)
    }
}

fn c_path(path: PathBuf) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::Path(path))
}
