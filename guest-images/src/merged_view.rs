//! Several layers as one directory, for one program only.

use std::ffi::CString;
use std::fmt::{self, Write};
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use launch::Layers;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{getegid, geteuid};

use crate::store::Privileges;

/// What mount(2) takes of options.
const OPTIONS_BYTES: usize = 4096;

/// What a process has to do to see layers as one directory: in a mount namespace of its own it
/// mounts an overlay that nobody else sees and that is gone with it.
pub(crate) struct MergedView {
    /// The topmost first.
    layers: Vec<CString>,
    /// Empty, and where the view is then.
    point: CString,
    /// What makes an ordinary user root of a user namespace, who may mount.
    maps: Option<[(CString, String); 3]>,
    user_xattr: bool,
}

impl MergedView {
    /// Of these layers at `point`, an empty directory.
    pub(crate) fn new(layers: &Layers, point: &Path) -> io::Result<Self> {
        let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let privileges = Privileges::of_this_process();
        let proc = |name: &str| CString::new(format!("/proc/self/{name}"));
        let maps = if privileges.is_root {
            None
        } else {
            Some([
                // Otherwise nobody but root may map groups, user_namespaces(7).
                (proc("setgroups")?, "deny".to_owned()),
                (proc("uid_map")?, format!("0 {} 1", geteuid().as_raw())),
                (proc("gid_map")?, format!("0 {} 1", getegid().as_raw())),
            ])
        };
        Ok(Self {
            layers: layers.iter().map(c_string).collect::<Result<_, _>>()?,
            point: c_string(point)?,
            maps,
            user_xattr: privileges.opaque_attribute().starts_with("user."),
        })
    }

    /// To be called between fork and exec: it makes system calls only.
    pub(crate) fn enter(&self) -> io::Result<()> {
        let mut namespaces = CloneFlags::CLONE_NEWNS;
        namespaces.set(CloneFlags::CLONE_NEWUSER, self.maps.is_some());
        unshare(namespaces)?;
        for (path, text) in self.maps.iter().flatten() {
            let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(&file, text.as_bytes())?;
        }
        mount_change(
            c"/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )?;
        let mut options = Options::default();
        options.push(format_args!("lowerdir="))?;
        // By descriptor: a path may hold the ':' that separates layers, and is longer. Opened
        // here, as an overlay takes only mounts of the mount namespace that it is made in.
        for layer in &self.layers {
            let layer = directory(layer)?.into_raw_fd();
            options.push(format_args!("/proc/self/fd/{layer}:"))?;
        }
        // Without an upper layer there must be two lower ones.
        let empty = directory(&self.point)?.into_raw_fd();
        options.push(format_args!("/proc/self/fd/{empty}"))?;
        if self.user_xattr {
            options.push(format_args!(",userxattr"))?;
        }
        let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
        mount(
            c"overlay",
            &self.point,
            c"overlay",
            flags,
            Some(options.c_str()?),
        )?;
        Ok(())
    }
}

/// Closed when the program is executed.
fn directory(path: &CString) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Text in memory that is there already, as none can be taken between fork and exec.
struct Options {
    bytes: [u8; OPTIONS_BYTES],
    length: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bytes: [0; OPTIONS_BYTES],
            length: 0,
        }
    }
}

impl Options {
    fn push(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        let full = io::Error::from_raw_os_error(nix::libc::E2BIG);
        self.write_fmt(text).map_err(|fmt::Error| full)
    }

    fn c_str(&self) -> io::Result<&std::ffi::CStr> {
        let full = io::Error::from_raw_os_error(nix::libc::E2BIG);
        std::ffi::CStr::from_bytes_until_nul(&self.bytes).map_err(|_| full)
    }
}

impl Write for Options {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        // The last byte stays zero.
        let room = self.bytes[..OPTIONS_BYTES - 1].get_mut(self.length..end);
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
