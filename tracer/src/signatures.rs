//! How the arguments of calls are to be read: those that a launch makes, and is explained by.

use crate::names::{self, Name};

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A number.
    Number,
    /// A number that is large or an address.
    Hex,
    /// Bits of a mode.
    Mode,
    /// A descriptor.
    Descriptor,
    /// The address of a text.
    Text,
    /// The address of as many bytes as the next argument says.
    Data,
    /// Several names.
    Flags(&'static [Name]),
    /// One name.
    One(&'static [Name]),
    /// The address of a `struct clone_args`.
    CloneArgs,
    /// The address of a `struct open_how`.
    OpenHow,
    /// The address of a `struct msghdr`.
    Message,
    /// The address of something else.
    Address,
}

use Kind::{
    Address, CloneArgs, Data, Descriptor, Flags, Hex, Message, Mode, Number, One, OpenHow, Text,
};

/// The arguments of the call of this name.
pub(crate) fn signature(name: &str) -> Option<&'static [Kind]> {
    Some(match name {
        "open" => &[Text, Flags(names::OPEN)],
        "openat" => &[Descriptor, Text, Flags(names::OPEN)],
        "openat2" => &[Descriptor, Text, OpenHow],
        "read" => &[Descriptor, Address, Number],
        "write" | "sendto" => &[Descriptor, Data, Number],
        "pread64" | "pwrite64" => &[Descriptor, Address, Number, Number],
        "close" | "fsync" | "fdatasync" | "fchdir" | "epoll_wait" => &[Descriptor],
        "close_range" => &[Number, Hex, Number],
        "ftruncate" => &[Descriptor, Number],
        "fallocate" => &[Descriptor, Number, Number, Number],
        "dup2" | "dup3" => &[Descriptor, Number],
        "pipe2" | "eventfd2" | "epoll_create1" | "memfd_create" | "signalfd4" => &[Address],
        "mkdir" | "chmod" | "rmdir" | "unlink" | "chdir" | "chroot" => &[Text],
        "chown" => &[Text, Number, Number],
        "rename" => &[Text, Text],
        "mkdirat" => &[Descriptor, Text, Mode],
        "mknodat" => &[Descriptor, Text, Mode, Hex],
        "unlinkat" => &[Descriptor, Text],
        "symlinkat" => &[Text, Descriptor, Text],
        "statx" | "faccessat2" | "fchownat" | "newfstatat" => &[Descriptor, Text],
        "clone3" => &[CloneArgs, Number],
        "clone" => &[Flags(names::CLONE)],
        "unshare" => &[Flags(names::CLONE)],
        "setns" => &[Descriptor, Flags(names::CLONE)],
        "mount" => &[Text, Text, Text, Flags(names::MOUNT), Text],
        "umount2" => &[Text, Flags(names::UMOUNT)],
        "pivot_root" => &[Text, Text],
        "fsopen" => &[Text],
        "fsconfig" => &[Descriptor, One(names::FSCONFIG), Text, Text],
        "fsmount" => &[Descriptor, Number, Flags(names::MOUNT_ATTR)],
        "open_tree" => &[Descriptor, Text, Flags(names::OPEN_TREE)],
        "move_mount" => &[Descriptor, Text, Descriptor, Text],
        "mount_setattr" => &[Descriptor, Text, Hex],
        "socket" | "socketpair" => &[One(names::FAMILY), Hex, Number],
        "sendmsg" => &[Descriptor, Message],
        "recvmsg" => &[Descriptor, Address],
        "ioctl" => &[Descriptor, One(names::REQUEST), Hex],
        "mmap" => &[
            Hex,
            Number,
            Flags(names::PROT),
            Flags(names::MAP),
            Descriptor,
            Hex,
        ],
        "munmap" | "mprotect" => &[Hex, Number],
        "madvise" => &[Hex, Number, Number],
        "prctl" => &[One(names::PRCTL), Hex],
        "seccomp" => &[One(names::SECCOMP), Hex],
        "keyctl" => &[One(names::KEYCTL)],
        "sethostname" => &[Data, Number],
        "setgroups" => &[Number],
        "setresuid" | "setresgid" => &[Number, Number, Number],
        "waitid" => &[One(names::WAIT), Descriptor],
        "execve" => &[Text],
        "flock" => &[Descriptor, Number],
        "umask" => &[Mode],
        "exit" | "exit_group" => &[Number],
        "setsid" | "getpid" | "getppid" | "gettid" | "geteuid" | "getuid" => &[],
        _ => return None,
    })
}
