//! Devices of the host's that the workload was given.

use std::cell::OnceCell;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use launch::{Device, DeviceAccess, MountPoint};
use serde::{Deserialize, Serialize};

use crate::devices::DeviceNodes;
use crate::failure::{At, Failure, Step};
use crate::inner_path::InnerPath;
use crate::mounts;
use crate::path::{InvalidPath, c_path};
use crate::site;
use crate::syscall::{self, Errno, Result};

/// A device node of the host's, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNode {
    device: Device,
    /// `S_IFCHR` or `S_IFBLK`.
    kind: u32,
    permissions: NodePermissions,
    number: libc::dev_t,
}

/// Who may open a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePermissions {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl DeviceNode {
    /// Looks at the node of a device.
    ///
    /// # Errors
    ///
    /// When it can't be looked at, or is no device node: `ENODEV`.
    pub fn find(device: &Device) -> io::Result<Self> {
        let found = fs::metadata(&device.source)?;
        let kind = found.file_type();
        if !kind.is_char_device() && !kind.is_block_device() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        Ok(Self {
            device: device.clone(),
            kind: found.mode() & libc::S_IFMT,
            permissions: NodePermissions {
                mode: found.mode() & !libc::S_IFMT,
                uid: found.uid(),
                gid: found.gid(),
            },
            number: found.rdev(),
        })
    }

    /// The node of a block device that the caller's kernel has under this number, for a command
    /// that knows it as `target`.
    pub fn of_block(target: MountPoint, permissions: NodePermissions, number: u64) -> Self {
        Self {
            device: Device {
                source: target.as_path().to_owned(),
                target,
                access: DeviceAccess::ALL,
            },
            kind: libc::S_IFBLK,
            permissions,
            number,
        }
    }

    /// Who may open it.
    pub fn permissions(&self) -> NodePermissions {
        self.permissions
    }

    /// What was asked for.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether it is a block device; else it is a character device.
    pub fn is_block(&self) -> bool {
        self.kind == libc::S_IFBLK
    }

    /// Its major number.
    pub fn major(&self) -> u32 {
        libc::major(self.number)
    }

    /// Its minor number.
    pub fn minor(&self) -> u32 {
        libc::minor(self.number)
    }
}

/// All of them, ready to be put into a root.
pub(crate) struct GivenDevices(Vec<Given>);

struct Given {
    index: u16,
    node: Node,
    target: InnerPath,
}

enum Node {
    /// It is made where no command sees it, under this name: root could change the caller's own.
    Made { name: CString, like: DeviceNode },
    /// It is bound from where the caller has it, which a user namespace can do.
    Borrowed {
        path: CString,
        opened: OnceCell<OwnedFd>,
    },
}

impl GivenDevices {
    pub(crate) fn new(
        found: &[DeviceNode],
        nodes: DeviceNodes,
    ) -> std::result::Result<Self, InvalidPath> {
        let given = found.iter().zip(0..).map(|(found, index)| {
            let node = match nodes {
                DeviceNodes::Made => Node::Made {
                    name: c_path(format!("given-{index}").as_ref())?,
                    like: found.clone(),
                },
                DeviceNodes::Borrowed => Node::Borrowed {
                    path: c_path(&found.device.source)?,
                    opened: OnceCell::new(),
                },
            };
            Ok(Given {
                index,
                node,
                target: InnerPath::new(found.device.target.as_c_str()),
            })
        });
        given.collect::<std::result::Result<_, _>>().map(Self)
    }

    /// Opens those that are borrowed.
    pub(crate) fn open_outside(&self) -> std::result::Result<(), Failure> {
        self.each(|given| match &given.node {
            Node::Borrowed { path, opened } => {
                let node = syscall::clone_mount(libc::AT_FDCWD, path)?;
                opened.set(node).map_err(|_| Errno(libc::EEXIST))
            }
            Node::Made { .. } => Ok(()),
        })
    }

    /// Puts all into a root. `stage` is the directory with what the stage has made.
    pub(crate) fn attach(
        &self,
        root: BorrowedFd<'_>,
        stage: BorrowedFd<'_>,
    ) -> std::result::Result<(), Failure> {
        self.each(|given| match &given.node {
            Node::Made { name, like } => {
                let store = site::node_store(stage)?;
                let NodePermissions { mode, uid, gid } = like.permissions;
                syscall::make_node(store.as_fd(), name, like.kind | mode, like.number)?;
                syscall::give_away(store.as_fd(), name, uid, gid)?;
                let node = syscall::clone_mount(store.as_raw_fd(), name)?;
                mounts::attach(root, node.as_fd(), &given.target)
            }
            Node::Borrowed { opened, .. } => {
                let node = opened.get().ok_or(Errno(libc::EBADF))?;
                mounts::attach(root, node.as_fd(), &given.target)
            }
        })
    }

    fn each(&self, act: impl Fn(&Given) -> Result<()>) -> std::result::Result<(), Failure> {
        self.0
            .iter()
            .try_for_each(|given| act(given).at(Step::Device(given.index)))
    }
}
