//! Extended attributes: those that a process without rights over the whole system has, here as in
//! a container.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use super::{Done, Server};
use crate::devices::virtio::fs::nodes::Node;
use crate::devices::virtio::fs::request::MAX_XATTR_BYTES;
use crate::devices::virtio::fs::wire::GetxattrOut;

/// Longest list of names, in bytes (`XATTR_LIST_MAX`).
const MAX_LIST_BYTES: usize = 1 << 16;

impl Server {
    pub(super) fn set_xattr(
        &mut self,
        node: u64,
        name: &CStr,
        value: &[u8],
        flags: u32,
    ) -> Result<Done, Errno> {
        let node = self.writable(node)?;
        check_changeable(name)?;
        let file = self.open_for_xattr(node)?.ok_or(Errno::PERM)?;
        fsetxattr(file, name, value, XattrFlags::from_bits_retain(flags))?;
        Ok(Done::Answer)
    }

    pub(super) fn remove_xattr(&mut self, node: u64, name: &CStr) -> Result<Done, Errno> {
        let node = self.writable(node)?;
        check_changeable(name)?;
        let file = self.open_for_xattr(node)?.ok_or(Errno::NODATA)?;
        fremovexattr(file, name)?;
        Ok(Done::Answer)
    }

    pub(super) fn xattr(&mut self, node: u64, name: &CStr, size: u32) -> Result<Done, Errno> {
        let node = self.nodes.get(node)?;
        if !is_visible(name.to_bytes()) {
            return Err(Errno::NODATA);
        }
        let file = self.open_for_xattr(node)?.ok_or(Errno::NODATA)?;
        self.answer.resize(MAX_XATTR_BYTES as usize, 0);
        let bytes = fgetxattr(file, name, self.answer.as_mut_slice());
        self.answer_of(bytes?, size)
    }

    pub(super) fn list_xattrs(&mut self, node: u64, size: u32) -> Result<Done, Errno> {
        let node = self.nodes.get(node)?;
        let Some(file) = self.open_for_xattr(node)? else {
            return self.answer_of(0, size);
        };
        let mut all = vec![0; MAX_LIST_BYTES];
        let bytes = flistxattr(file, all.as_mut_slice())?;
        all.truncate(bytes);
        for name in all.split_inclusive(|byte| *byte == 0) {
            if is_visible(name) {
                self.answer.extend_from_slice(name);
            }
        }
        self.answer_of(self.answer.len(), size)
    }

    /// Answers with the first `bytes` of what was put together or, if the guest has no room yet,
    /// with how many there are.
    fn answer_of(&mut self, bytes: usize, size: u32) -> Result<Done, Errno> {
        self.answer.truncate(bytes);
        if size == 0 {
            self.answer.clear();
            self.say(&GetxattrOut {
                // At most 64 KiB.
                size: bytes as u32,
                padding: 0,
            });
        } else if bytes > size as usize {
            return Err(Errno::RANGE);
        }
        Ok(Done::Answer)
    }

    /// `None` of a link or a special file, which is not opened: users' attributes it can't have.
    fn open_for_xattr(&self, node: &Node) -> Result<Option<OwnedFd>, Errno> {
        match node.kind() {
            FileType::RegularFile | FileType::Directory => {
                self.reopen(node, OFlags::RDONLY).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Whether an ordinary process sees it. `trusted.*` is what the host's own overlays keep there.
fn is_visible(name: &[u8]) -> bool {
    [&b"user."[..], b"security.", b"system.posix_acl_"]
        .into_iter()
        .any(|kind| name.starts_with(kind))
}

/// Whether it can be changed with the rights that a container's root has.
fn check_changeable(name: &CStr) -> Result<(), Errno> {
    let name = name.to_bytes();
    let is_changeable = name.starts_with(b"user.")
        || name.starts_with(b"system.posix_acl_")
        || name == b"security.capability";
    match is_changeable {
        true => Ok(()),
        false => Err(Errno::PERM),
    }
}
