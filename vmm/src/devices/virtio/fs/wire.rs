//! FUSE as it is on the wire: numbers and structures of `include/uapi/linux/fuse.h`, version 7.38,
//! as far as they are used here. All numbers are little-endian, as the host's are.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The version of the protocol; there is no other.
pub(super) const MAJOR: u32 = 7;
/// What was added to it up to Linux 6.2.
pub(super) const MINOR: u32 = 38;
/// The oldest that we speak: structures have changed before. Linux has had it since 5.10.
pub(super) const OLDEST_MINOR: u32 = 31;

/// The node that a mount shows.
pub(super) const ROOT_NODE: u64 = 1;

/// What a request asks for.
pub(super) mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const REMOVEXATTR: u32 = 24;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const FSYNCDIR: u32 = 30;
    pub const CREATE: u32 = 35;
    pub const INTERRUPT: u32 = 36;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
    pub const RENAME2: u32 = 45;
    pub const LSEEK: u32 = 46;
    pub const COPY_FILE_RANGE: u32 = 47;
    pub const SYNCFS: u32 = 50;
    pub const TMPFILE: u32 = 51;
}

/// What both sides can do, settled by `INIT`.
pub(super) mod feature {
    /// Several reads at a time.
    pub const ASYNC_READ: u32 = 1 << 0;
    /// `O_TRUNC` comes with the request to open.
    pub const ATOMIC_O_TRUNC: u32 = 1 << 3;
    /// Writes of more than a page.
    pub const BIG_WRITES: u32 = 1 << 5;
    /// The umask is told, and not applied: only the host knows whether a directory has a default
    /// ACL, which comes in its place.
    pub const DONT_MASK: u32 = 1 << 6;
    /// Cached data goes when the file's size or time of change is another.
    pub const AUTO_INVAL_DATA: u32 = 1 << 12;
    /// Several lookups in one directory at a time.
    pub const PARALLEL_DIROPS: u32 = 1 << 18;
    /// `max_pages` counts.
    pub const MAX_PAGES: u32 = 1 << 22;
    /// We take set-user-ID bits and capabilities away from what is written to.
    pub const HANDLE_KILLPRIV_V2: u32 = 1 << 28;
}

/// Which members of [`SetAttrIn`] count.
pub(super) mod valid {
    pub const MODE: u32 = 1 << 0;
    pub const UID: u32 = 1 << 1;
    pub const GID: u32 = 1 << 2;
    pub const SIZE: u32 = 1 << 3;
    pub const ATIME: u32 = 1 << 4;
    pub const MTIME: u32 = 1 << 5;
    pub const FH: u32 = 1 << 6;
    pub const ATIME_NOW: u32 = 1 << 7;
    pub const MTIME_NOW: u32 = 1 << 8;
    pub const KILL_SUIDGID: u32 = 1 << 11;
}

/// In [`GetAttrIn::flags`]: `fh` counts.
pub(super) const GETATTR_FH: u32 = 1 << 0;
/// In [`OpenIn::open_flags`] and [`CreateIn::open_flags`]: take set-user-ID bits away.
pub(super) const OPEN_KILL_SUIDGID: u32 = 1 << 0;
/// In [`OpenOut::open_flags`]: nothing is to be said when it is closed.
pub(super) const FOPEN_NOFLUSH: u32 = 1 << 5;
/// In [`WriteIn::write_flags`]: it comes from the page cache, by any of the file's handles.
pub(super) const WRITE_CACHE: u32 = 1 << 0;
/// In [`WriteIn::write_flags`]: take set-user-ID bits away.
pub(super) const WRITE_KILL_SUIDGID: u32 = 1 << 2;
/// In [`FsyncIn::flags`]: data only.
pub(super) const FSYNC_FDATASYNC: u32 = 1 << 0;

macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }
    )*};
}

wire! {
    /// `fuse_in_header`, what every request begins with.
    InHeader {
        len: u32,
        opcode: u32,
        unique: u64,
        node: u64,
        uid: u32,
        gid: u32,
        pid: u32,
        total_extlen: u16,
        padding: u16,
    }
    /// `fuse_out_header`, what every answer begins with.
    OutHeader {
        len: u32,
        error: i32,
        unique: u64,
    }
    /// `fuse_attr`.
    Attr {
        ino: u64,
        size: u64,
        blocks: u64,
        atime: u64,
        mtime: u64,
        ctime: u64,
        atime_ns: u32,
        mtime_ns: u32,
        ctime_ns: u32,
        mode: u32,
        nlink: u32,
        uid: u32,
        gid: u32,
        rdev: u32,
        blksize: u32,
        flags: u32,
    }
    /// `fuse_entry_out`.
    EntryOut {
        node: u64,
        generation: u64,
        entry_valid: u64,
        attr_valid: u64,
        entry_valid_ns: u32,
        attr_valid_ns: u32,
        attr: Attr,
    }
    /// `fuse_attr_out`.
    AttrOut {
        attr_valid: u64,
        attr_valid_ns: u32,
        dummy: u32,
        attr: Attr,
    }
    /// The part of `fuse_init_in` that all have.
    InitIn {
        major: u32,
        minor: u32,
        max_readahead: u32,
        flags: u32,
    }
    /// `fuse_init_out`.
    InitOut {
        major: u32,
        minor: u32,
        max_readahead: u32,
        flags: u32,
        max_background: u16,
        congestion_threshold: u16,
        max_write: u32,
        time_gran_ns: u32,
        max_pages: u16,
        map_alignment: u16,
        flags2: u32,
        unused: [u32; 7],
    }
    /// `fuse_forget_in`.
    ForgetIn {
        lookups: u64,
    }
    /// `fuse_batch_forget_in`.
    BatchForgetIn {
        count: u32,
        dummy: u32,
    }
    /// `fuse_forget_one`.
    ForgetOne {
        node: u64,
        lookups: u64,
    }
    /// `fuse_getattr_in`.
    GetAttrIn {
        flags: u32,
        dummy: u32,
        fh: u64,
    }
    /// `fuse_setattr_in`.
    SetAttrIn {
        valid: u32,
        padding: u32,
        fh: u64,
        size: u64,
        lock_owner: u64,
        atime: u64,
        mtime: u64,
        ctime: u64,
        atime_ns: u32,
        mtime_ns: u32,
        ctime_ns: u32,
        mode: u32,
        unused4: u32,
        uid: u32,
        gid: u32,
        unused5: u32,
    }
    /// `fuse_mknod_in`.
    MknodIn {
        mode: u32,
        rdev: u32,
        umask: u32,
        padding: u32,
    }
    /// `fuse_mkdir_in`.
    MkdirIn {
        mode: u32,
        umask: u32,
    }
    /// `fuse_rename_in`.
    RenameIn {
        newdir: u64,
    }
    /// `fuse_rename2_in`.
    Rename2In {
        newdir: u64,
        flags: u32,
        padding: u32,
    }
    /// `fuse_link_in`.
    LinkIn {
        node: u64,
    }
    /// `fuse_open_in`.
    OpenIn {
        flags: u32,
        open_flags: u32,
    }
    /// `fuse_create_in`.
    CreateIn {
        flags: u32,
        mode: u32,
        umask: u32,
        open_flags: u32,
    }
    /// `fuse_open_out`.
    OpenOut {
        fh: u64,
        open_flags: u32,
        padding: u32,
    }
    /// `fuse_release_in`.
    ReleaseIn {
        fh: u64,
        flags: u32,
        release_flags: u32,
        lock_owner: u64,
    }
    /// `fuse_flush_in`.
    FlushIn {
        fh: u64,
        unused: u32,
        padding: u32,
        lock_owner: u64,
    }
    /// `fuse_read_in`.
    ReadIn {
        fh: u64,
        offset: u64,
        size: u32,
        read_flags: u32,
        lock_owner: u64,
        flags: u32,
        padding: u32,
    }
    /// `fuse_write_in`.
    WriteIn {
        fh: u64,
        offset: u64,
        size: u32,
        write_flags: u32,
        lock_owner: u64,
        flags: u32,
        padding: u32,
    }
    /// `fuse_write_out`.
    WriteOut {
        size: u32,
        padding: u32,
    }
    /// `fuse_statfs_out`.
    StatfsOut {
        blocks: u64,
        bfree: u64,
        bavail: u64,
        files: u64,
        ffree: u64,
        bsize: u32,
        namelen: u32,
        frsize: u32,
        padding: u32,
        spare: [u32; 6],
    }
    /// `fuse_fsync_in`.
    FsyncIn {
        fh: u64,
        flags: u32,
        padding: u32,
    }
    /// `fuse_setxattr_in` where `FUSE_SETXATTR_EXT` is not settled.
    SetxattrIn {
        size: u32,
        flags: u32,
    }
    /// `fuse_getxattr_in`.
    GetxattrIn {
        size: u32,
        padding: u32,
    }
    /// `fuse_getxattr_out`.
    GetxattrOut {
        size: u32,
        padding: u32,
    }
    /// `fuse_fallocate_in`.
    FallocateIn {
        fh: u64,
        offset: u64,
        length: u64,
        mode: u32,
        padding: u32,
    }
    /// `fuse_lseek_in`.
    LseekIn {
        fh: u64,
        offset: u64,
        whence: u32,
        padding: u32,
    }
    /// `fuse_lseek_out`.
    LseekOut {
        offset: u64,
    }
    /// `fuse_copy_file_range_in`.
    CopyFileRangeIn {
        fh_in: u64,
        offset_in: u64,
        node_out: u64,
        fh_out: u64,
        offset_out: u64,
        length: u64,
        flags: u64,
    }
    /// `fuse_dirent`, before the name, which is padded to a multiple of eight bytes.
    Dirent {
        ino: u64,
        offset: u64,
        namelen: u32,
        kind: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_kernels_header() {
        for (name, size, expected) in [
            ("in_header", size_of::<InHeader>(), 40),
            ("out_header", size_of::<OutHeader>(), 16),
            ("attr", size_of::<Attr>(), 88),
            ("entry_out", size_of::<EntryOut>(), 128),
            ("attr_out", size_of::<AttrOut>(), 104),
            ("init_out", size_of::<InitOut>(), 64),
            ("setattr_in", size_of::<SetAttrIn>(), 88),
            ("mknod_in", size_of::<MknodIn>(), 16),
            ("create_in", size_of::<CreateIn>(), 16),
            ("open_out", size_of::<OpenOut>(), 16),
            ("release_in", size_of::<ReleaseIn>(), 24),
            ("read_in", size_of::<ReadIn>(), 40),
            ("write_in", size_of::<WriteIn>(), 40),
            ("statfs_out", size_of::<StatfsOut>(), 80),
            ("fallocate_in", size_of::<FallocateIn>(), 32),
            ("copy_file_range_in", size_of::<CopyFileRangeIn>(), 56),
            ("dirent", size_of::<Dirent>(), 24),
        ] {
            assert_eq!(size, expected, "{name}");
        }
    }
}
