//! What both sides run, and what a guest boots from.
//!
//! - [`ImageRef`]: an image as the user names it, resolved to the directories that its root is
//!   made of, with their digest and with what it says of how to run it.
//! - [`store`]: images that were loaded or pulled.
//! - [`look_up`]: docker's `-u`, looked up in the image.
//! - [`copy_out`]: a directory of an image, copied to where it can be written to.
//! - [`disk_of`]: the disk image that a guest mounts, made from those directories.
//! - [`Kernel`]: the guest's kernel, found or built.
//! - [`INIT`]: the guest's PID 1, and [`initramfs`], the file from which its kernel unpacks it.
//!
//! Whatever is made once is kept in a [`Cache`].

mod cache;
mod copy_out;
mod debian_tool;
mod digest;
mod disk;
mod image;
mod init;
mod kernel;
mod merged_view;
pub mod store;
mod users;

pub use cache::{Cache, CacheError, Shelf};
pub use copy_out::{CopyError, copy_out};
pub use debian_tool::ToolError;
pub use digest::{DigestError, SurveyError};
pub use disk::{DiskError, disk_of};
pub use image::{
    BusyboxError, FileError, Image, ImageError, ImageRef, InvalidImage, ProbeError, Sources,
};
pub use init::{INIT, InitramfsError, initramfs, initramfs_digest};
pub use kernel::{Kernel, KernelError, Processors};
pub use users::{
    GroupSpec, InvalidGroupSpec, InvalidUserSpec, ReadInRootError, User, UserError, UserSpec,
    look_up, look_up_among, look_up_groups, look_up_in,
};
