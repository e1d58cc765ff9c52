//! The system calls that lead to the command, each as a function that does nothing else.
//!
//! They are called in a process that was cloned from one with several threads. So no function
//! here allocates, locks or panics; and where glibc's wrapper does more than the system call (it
//! runs `setresuid` and `setgroups` in all threads it knows of, and after a raw `clone3` it still
//! knows those of the parent), the system call is made directly.

use std::ffi::{CStr, c_int, c_long, c_short, c_uint};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use launch::WindowSize;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use crate::in_root;

/// Why a system call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

pub(crate) type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    fn last() -> Self {
        // SAFETY: the location of the calling thread's errno is always readable.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

fn check(result: c_long) -> Result<c_long> {
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(result)
    }
}

fn done(result: c_long) -> Result<()> {
    check(result).map(drop)
}

/// Takes the result of a system call that makes a descriptor.
fn descriptor(result: c_long) -> Result<OwnedFd> {
    // SAFETY: `check` passes only what the kernel returned as a new descriptor, which nothing
    // else owns yet.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Opens the directory `path` of the caller's own mount namespace, only to name it.
pub(crate) fn open_directory(path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string.
    descriptor(unsafe { libc::open(path.as_ptr(), flags) }.into())
}

/// Opens the file `path` of the caller's own mount namespace, only to name it.
pub(crate) fn open_path(path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string.
    descriptor(unsafe { libc::open(path.as_ptr(), flags) }.into())
}

/// Opens `path` as if `root` were the root of the file system, only to name it. `resolve` are
/// further `RESOLVE_*` flags of openat2(2).
pub(crate) fn open_in_root(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: c_int,
    resolve: u64,
) -> Result<OwnedFd> {
    look_up(root, path, flags | libc::O_PATH, resolve)
}

/// Opens `path` as if `root` were the root of the file system, with these flags of open(2). A link
/// on the way is `ELOOP`.
pub(crate) fn open_file_in_root(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: c_int,
) -> Result<OwnedFd> {
    look_up(root, path, flags, libc::RESOLVE_NO_SYMLINKS)
}

fn look_up(root: BorrowedFd<'_>, path: &CStr, flags: c_int, resolve: u64) -> Result<OwnedFd> {
    let resolve = ResolveFlags::from_bits_retain(resolve);
    Ok(in_root::open_in_root(
        root,
        path,
        open_flags(flags),
        resolve,
    )?)
}

/// Opens `path`, unless a magic link of `/proc` leads there: that is `ELOOP`.
pub(crate) fn open_without_magic_links(path: &CStr, flags: c_int) -> Result<OwnedFd> {
    let flags = open_flags(flags) | OFlags::CLOEXEC;
    Ok(openat2(
        CWD,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    )?)
}

fn open_flags(flags: c_int) -> OFlags {
    OFlags::from_bits_retain(flags.cast_unsigned())
}

/// Whether the file is one of a procfs.
pub(crate) fn is_in_procfs(file: BorrowedFd<'_>) -> Result<bool> {
    Ok(file_system(file)? == libc::PROC_SUPER_MAGIC)
}

/// Whether the file is one of a devpts.
pub(crate) fn is_in_devpts(file: BorrowedFd<'_>) -> Result<bool> {
    // `DEVPTS_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
    const DEVPTS: libc::__fsword_t = 0x1cd1;
    Ok(file_system(file)? == DEVPTS)
}

fn file_system(file: BorrowedFd<'_>) -> Result<libc::__fsword_t> {
    // SAFETY: statfs is plain numbers, for which all zero is valid.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` lives through the call.
    done(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) }.into())?;
    Ok(stat.f_type)
}

/// Whether the file is a directory.
pub(crate) fn is_directory(file: BorrowedFd<'_>) -> Result<bool> {
    Ok(stat(file)?.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Whether the file is a regular one.
pub(crate) fn is_regular_file(file: BorrowedFd<'_>) -> Result<bool> {
    Ok(stat(file)?.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// The number of the character device that the file is, if it is one.
pub(crate) fn character_device(file: BorrowedFd<'_>) -> Result<Option<libc::dev_t>> {
    let stat = stat(file)?;
    Ok((stat.st_mode & libc::S_IFMT == libc::S_IFCHR).then_some(stat.st_rdev))
}

/// Whether both are one file.
pub(crate) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let (one, other) = (stat(one)?, stat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// How a file was opened: `O_RDONLY`, `O_WRONLY` or `O_RDWR`.
pub(crate) fn access_mode(file: BorrowedFd<'_>) -> Result<c_int> {
    // SAFETY: numbers only.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) }.into())
        .map(|flags| flags as c_int & libc::O_ACCMODE)
}

fn stat(file: BorrowedFd<'_>) -> Result<libc::stat> {
    // SAFETY: stat is plain numbers, for which all zero is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` lives through the call.
    done(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) }.into())?;
    Ok(stat)
}

/// Looks at the file `name`, and not at where it leads if it is a link.
pub(crate) fn stat_no_follow(directory: BorrowedFd<'_>, name: &CStr) -> Result<libc::stat> {
    // SAFETY: stat is plain numbers, for which all zero is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    let (flags, name) = (libc::AT_SYMLINK_NOFOLLOW, name.as_ptr());
    // SAFETY: `name` is a C string, and `stat` lives through the call.
    let result = unsafe { libc::fstatat(directory.as_raw_fd(), name, &raw mut stat, flags) };
    done(result.into())?;
    Ok(stat)
}

/// Makes a file that is not there yet, to be written.
pub(crate) fn create_file(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<OwnedFd> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: `name` is a C string.
    descriptor(unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags, mode) }.into())
}

/// Changes the owner of the file `name`, or of the link that it is.
pub(crate) fn give_away(
    directory: BorrowedFd<'_>,
    name: &CStr,
    uid: libc::uid_t,
    gid: libc::gid_t,
) -> Result<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: `name` is a C string.
    done(unsafe { libc::fchownat(directory.as_raw_fd(), name.as_ptr(), uid, gid, flags) }.into())
}

/// Changes the owner of a file that is open, and not its group.
pub(crate) fn give_open_file(file: BorrowedFd<'_>, uid: libc::uid_t) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::fchown(file.as_raw_fd(), uid, libc::gid_t::MAX) }.into())
}

/// Writes all of `bytes`.
pub(crate) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of one slice.
        let written = unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        let written = check(written as c_long)?;
        bytes = bytes.get(written as usize..).unwrap_or_default();
    }
    Ok(())
}

/// Reads what one read(2) gives.
pub(crate) fn read_into(file: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<()> {
    // SAFETY: the pointer and the length are those of one slice.
    let read = unsafe { libc::read(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    done(read as c_long)
}

/// Fills `bytes` with what the file has from `offset` on; `false` if it has less.
pub(crate) fn read_exactly_at(
    file: BorrowedFd<'_>,
    mut bytes: &mut [u8],
    mut offset: u64,
) -> Result<bool> {
    while !bytes.is_empty() {
        let Ok(at) = libc::off_t::try_from(offset) else {
            return Ok(false);
        };
        let (to, size) = (bytes.as_mut_ptr().cast(), bytes.len());
        // SAFETY: the pointer and the size are those of one slice.
        let read = unsafe { libc::pread(file.as_raw_fd(), to, size, at) };
        match check(read as c_long)? as usize {
            0 => return Ok(false),
            read => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
        }
    }
    Ok(true)
}

/// Makes a directory; `name` has one component, so no link is followed.
pub(crate) fn make_directory(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `name` is a C string.
    done(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode) }.into())
}

/// Makes an empty file or a device node; `name` has one component, so no link is followed.
pub(crate) fn make_node(
    parent: BorrowedFd<'_>,
    name: &CStr,
    mode: u32,
    device: libc::dev_t,
) -> Result<()> {
    // SAFETY: `name` is a C string.
    done(unsafe { libc::mknodat(parent.as_raw_fd(), name.as_ptr(), mode, device) }.into())
}

/// Reads where a link leads; as many of the bytes. `name` has one component. Where they are not
/// enough, that is `ENAMETOOLONG`.
pub(crate) fn read_link(directory: BorrowedFd<'_>, name: &CStr, bytes: &mut [u8]) -> Result<usize> {
    let (to, size) = (bytes.as_mut_ptr().cast(), bytes.len());
    // SAFETY: `name` is a C string; the pointer and the size are those of one slice.
    let length = unsafe { libc::readlinkat(directory.as_raw_fd(), name.as_ptr(), to, size) };
    match check(length as c_long)? as usize {
        length if length < size => Ok(length),
        _ => Err(Errno(libc::ENAMETOOLONG)),
    }
}

/// Makes a symbolic link to `target`; `name` has one component, so no link is followed.
pub(crate) fn make_link(parent: BorrowedFd<'_>, name: &CStr, target: &CStr) -> Result<()> {
    // SAFETY: both are C strings.
    done(unsafe { libc::symlinkat(target.as_ptr(), parent.as_raw_fd(), name.as_ptr()) }.into())
}

/// Keeps what is mounted or unmounted in this mount namespace from reaching any other.
pub(crate) fn make_all_mounts_private() -> Result<()> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: mount(2) ignores the arguments that are null when propagation is changed.
    done(
        unsafe {
            libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                flags,
                std::ptr::null(),
            )
        }
        .into(),
    )
}

/// A file system that is being configured: fsopen(2).
pub(crate) struct FilesystemContext(OwnedFd);

impl FilesystemContext {
    pub(crate) fn open(kind: &CStr) -> Result<Self> {
        // SAFETY: `kind` is a C string.
        descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) })
            .map(Self)
    }

    pub(crate) fn set(&self, key: &CStr, value: &CStr) -> Result<()> {
        self.configure(libc::FSCONFIG_SET_STRING, Some(key), Some(value))
    }

    fn configure(&self, command: c_uint, key: Option<&CStr>, value: Option<&CStr>) -> Result<()> {
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: the strings are C strings, or null where the command takes none.
        done(unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.0.as_raw_fd(),
                command,
                pointer(key),
                pointer(value),
                0,
            )
        })
    }

    /// Makes the file system, and a mount of it that is attached nowhere yet. `attributes` are
    /// `MOUNT_ATTR_*`.
    pub(crate) fn mount(self, attributes: u64) -> Result<OwnedFd> {
        self.configure(libc::FSCONFIG_CMD_CREATE, None, None)?;
        // SAFETY: numbers only.
        descriptor(unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                self.0.as_raw_fd(),
                libc::FSMOUNT_CLOEXEC,
                attributes as c_uint,
            )
        })
    }
}

/// Mounts an overlay with these options on the directory `point`; no device node works there.
pub(crate) fn mount_overlay(point: &CStr, options: &CStr) -> Result<()> {
    let kind = c"overlay";
    // SAFETY: all are C strings.
    done(
        unsafe {
            libc::mount(
                kind.as_ptr(),
                point.as_ptr(),
                kind.as_ptr(),
                libc::MS_NODEV,
                options.as_ptr().cast(),
            )
        }
        .into(),
    )
}

/// Lets the other end of a pseudoterminal be opened, `ioctl_tty(2)`.
pub(crate) fn unlock_terminal(master: BorrowedFd<'_>) -> Result<()> {
    let locked: c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, which lives through the call.
    done(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const locked) }.into())
}

/// Sets the size of a terminal.
pub(crate) fn set_window_size(terminal: BorrowedFd<'_>, size: WindowSize) -> Result<()> {
    let size = libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads one winsize, which lives through the call.
    done(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }.into())
}

/// Opens the other end of a pseudoterminal, whatever lies at its path.
pub(crate) fn open_terminal(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: numbers only.
    descriptor(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) }.into())
}

/// Makes it the terminal of the session that the caller leads.
pub(crate) fn make_controlling(terminal: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }.into())
}

/// Sends a descriptor over a Unix socket, with one byte.
pub(crate) fn send_descriptor(socket: BorrowedFd<'_>, sent: BorrowedFd<'_>) -> Result<()> {
    /// A control message with one descriptor, cmsg(3).
    #[repr(C)]
    struct Message {
        header: libc::cmsghdr,
        descriptor: RawFd,
    }
    let mut byte = 0_u8;
    let mut data = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let mut control = Message {
        header: libc::cmsghdr {
            // SAFETY: takes a number.
            cmsg_len: unsafe { libc::CMSG_LEN(size_of::<RawFd>() as c_uint) } as usize,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        descriptor: sent.as_raw_fd(),
    };
    // SAFETY: msghdr is numbers and pointers, for which all zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Message>();
    // SAFETY: all that the message points to lives through the call, and has the lengths that it
    // says; the descriptor follows its header without a gap, as the header's size is a multiple of
    // a word's.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    done(sent as c_long)
}

/// A second mount of what `path` names below `directory`, attached nowhere yet. An empty `path`
/// is `directory` itself.
pub(crate) fn clone_mount(directory: RawFd, path: &CStr) -> Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as c_uint;
    // SAFETY: `path` is a C string.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) })
}

/// The same with all that is mounted below it.
pub(crate) fn clone_tree(directory: RawFd, path: &CStr) -> Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as c_uint;
    // SAFETY: `path` is a C string.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) })
}

/// Attaches a detached mount on the file or directory that `target` names. No path is walked.
pub(crate) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: both paths are empty C strings.
    done(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
}

/// The same on what is called `name` in a directory: one component, and no link is followed.
pub(crate) fn attach_at(
    mount: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    name: &CStr,
) -> Result<()> {
    // SAFETY: both paths are C strings.
    done(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            directory.as_raw_fd(),
            name.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
}

/// Makes this one mount read-only, and none below it.
pub(crate) fn make_read_only(mount: BorrowedFd<'_>) -> Result<()> {
    add_attributes(mount, libc::MOUNT_ATTR_RDONLY)
}

/// Gives this one mount `attributes`, which are `MOUNT_ATTR_*`, and none below it.
pub(crate) fn add_attributes(mount: BorrowedFd<'_>, attributes: u64) -> Result<()> {
    // SAFETY: mount_attr is plain numbers, for which all zero is valid.
    let mut wanted: libc::mount_attr = unsafe { std::mem::zeroed() };
    wanted.attr_set = attributes;
    set_attributes(mount, 0, &wanted)
}

/// Gives this mount and all below it `attributes`, which are `MOUNT_ATTR_*`, and keeps what is
/// mounted below any of them from reaching other mount namespaces, and the other way round.
pub(crate) fn restrict_tree(mount: BorrowedFd<'_>, attributes: u64) -> Result<()> {
    // SAFETY: mount_attr is plain numbers, for which all zero is valid.
    let mut wanted: libc::mount_attr = unsafe { std::mem::zeroed() };
    wanted.attr_set = attributes;
    wanted.propagation = libc::MS_PRIVATE;
    set_attributes(mount, libc::AT_RECURSIVE, &wanted)
}

fn set_attributes(
    mount: BorrowedFd<'_>,
    flags: c_int,
    attributes: &libc::mount_attr,
) -> Result<()> {
    // SAFETY: the path is an empty C string; `attributes` lives through the call, with its own
    // size.
    done(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | flags,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Makes `root`, the root of a mount, this process's root and working directory, and lets go of
/// the former one with all that is mounted below it.
pub(crate) fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    enter_directory(root)?;
    // pivot_root(2): with the same path twice the old root is stacked on the new one, so no
    // directory is needed to put it, and "." is the old root until it is unmounted.
    // SAFETY: all paths are C strings.
    unsafe {
        done(libc::syscall(
            libc::SYS_pivot_root,
            c".".as_ptr(),
            c".".as_ptr(),
        ))?;
        done(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into())?;
        done(libc::chdir(c"/".as_ptr()).into())
    }
}

pub(crate) fn enter_directory(directory: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::fchdir(directory.as_raw_fd()) }.into())
}

pub(crate) fn set_hostname(name: &CStr) -> Result<()> {
    let bytes = name.to_bytes();
    // SAFETY: the pointer and the length are those of one slice.
    done(unsafe { libc::sethostname(bytes.as_ptr().cast(), bytes.len()) }.into())
}

pub(crate) fn set_umask(mask: libc::mode_t) {
    // SAFETY: umask(2) always succeeds.
    unsafe { libc::umask(mask) };
}

/// A new session, so that the terminal of the old one is out of reach.
pub(crate) fn start_session() -> Result<()> {
    // SAFETY: takes nothing.
    done(unsafe { libc::setsid() }.into())
}

/// A new session keyring, so that the keys of the old one are out of reach: there is no namespace
/// for them. A kernel without keys has none to keep.
pub(crate) fn join_new_keyring() -> Result<()> {
    let operation = libc::KEYCTL_JOIN_SESSION_KEYRING;
    // SAFETY: a null name is allowed, keyctl_join_session_keyring(3): one without a name is made.
    match done(unsafe { libc::syscall(libc::SYS_keyctl, operation, std::ptr::null::<u8>()) }) {
        Err(Errno(libc::ENOSYS)) => Ok(()),
        result => result,
    }
}

/// A copy of `fd` that is at least `lowest` and closed by `execve`.
pub(crate) fn duplicate_above(fd: BorrowedFd<'_>, lowest: RawFd) -> Result<RawFd> {
    // SAFETY: numbers only.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) }.into())
        .map(|fd| fd as RawFd)
}

/// Makes the descriptor number `to` the same as `from`; `flags` is `O_CLOEXEC` or 0.
pub(crate) fn duplicate_onto(from: RawFd, to: RawFd, flags: c_int) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::dup3(from, to, flags) }.into())
}

/// Closes every descriptor from `lowest` on.
pub(crate) fn close_from(lowest: RawFd) -> Result<()> {
    // SAFETY: numbers only. What is closed is not used again: the caller sees to it.
    done(unsafe { libc::syscall(libc::SYS_close_range, lowest as c_uint, c_uint::MAX, 0) })
}

pub(crate) fn drop_from_bounding_set(capability: u32) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into())
}

/// The header and one half of the data of capset(2), `include/uapi/linux/capability.h`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
struct CapabilityHalf {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Makes `set` the effective and the permitted set, and empties the inheritable one; what is not
/// inheritable leaves the ambient set by itself (capabilities(7)).
pub(crate) fn set_capabilities(set: u64) -> Result<()> {
    // _LINUX_CAPABILITY_VERSION_3: sets of 64 bits in two halves.
    const VERSION_3: u32 = 0x2008_0522;
    let header = CapabilityHeader {
        version: VERSION_3,
        pid: 0,
    };
    let halves = [set as u32, (set >> 32) as u32].map(|half| CapabilityHalf {
        effective: half,
        permitted: half,
        inheritable: 0,
    });
    // SAFETY: version 3 reads one header and two halves, which live through the call.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) })
}

pub(crate) fn set_groups(groups: &[libc::gid_t]) -> Result<()> {
    // SAFETY: the length and the pointer are those of one slice.
    done(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

pub(crate) fn set_group(gid: libc::gid_t) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })
}

pub(crate) fn set_user(uid: libc::uid_t) -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

pub(crate) fn set_no_new_privileges() -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())
}

/// Has a filter decide about all system calls from here on.
pub(crate) fn load_filter(instructions: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(|_| Errno(libc::EINVAL))?,
        filter: instructions.as_ptr().cast_mut(),
    };
    // Or kernels before 5.16 slow the program down to keep it from speculating past stores; runc
    // does without that, too.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: `program` and the instructions, which the kernel only reads, live through the call.
    done(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    })
}

/// Limits the calling process and what it will start; `resource` is `RLIMIT_*`.
pub(crate) fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: prlimit64(2) reads one rlimit64, which lives through the call; 0 is the caller, and
    // the former limit is not asked for.
    done(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &raw const limit,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    })
}

/// Has this process killed when the thread that made it ends.
pub(crate) fn die_with_parent() -> Result<()> {
    // SAFETY: numbers only.
    done(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }.into())
}

/// Whether nobody can read from the pipe any more.
pub(crate) fn has_no_reader(pipe: RawFd) -> Result<bool> {
    Ok(polled(pipe)? & libc::POLLERR != 0)
}

/// Whether nobody is at the terminal's other end any more.
pub(crate) fn is_hung_up(terminal: BorrowedFd<'_>) -> Result<bool> {
    Ok(polled(terminal.as_raw_fd())? & libc::POLLHUP != 0)
}

/// What poll(2) tells of a descriptor without being asked.
fn polled(fd: RawFd) -> Result<c_short> {
    let mut poll = libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    };
    // SAFETY: `poll` is one pollfd and lives through the call.
    done(unsafe { libc::poll(&raw mut poll, 1, 0) }.into())?;
    Ok(poll.revents)
}

/// Gives `signal` its default action; a signal that does not take one keeps its own.
pub(crate) fn reset_signal(signal: c_int) {
    // Not by sigaction(3): glibc keeps 32 and 33 to itself and refuses to touch them.
    // `struct sigaction` of `include/linux/signal_types.h`: handler, flags, restorer and mask,
    // a word each; all zero is the default action.
    let default = [0_u64; 4];
    // SAFETY: `default` lives through the call; its last word is the mask, of that size.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            default.as_ptr(),
            std::ptr::null::<u64>(),
            size_of::<u64>(),
        );
    }
}

pub(crate) fn unblock_all_signals() -> Result<()> {
    // SAFETY: sigemptyset makes `none` valid before it is used.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        done(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()).into())
    }
}

/// Brings a network interface up. `name` has less than IFNAMSIZ bytes.
pub(crate) fn bring_interface_up(name: &CStr) -> Result<()> {
    let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: numbers only.
    let socket = descriptor(unsafe { libc::socket(libc::AF_INET, flags, 0) }.into())?;
    // SAFETY: all zero is a valid ifreq: an empty name and no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, netdevice(7), which lives through the call.
    done(
        unsafe {
            libc::ioctl(
                socket.as_fd().as_raw_fd(),
                libc::SIOCSIFFLAGS,
                &raw const request,
            )
        }
        .into(),
    )
}

/// Executes a program; returns only to say why it could not.
///
/// # Safety
///
/// `argv` and `env` are arrays of pointers to C strings, and end with a null pointer.
pub(crate) unsafe fn execute(
    program: &CStr,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
) -> Errno {
    // SAFETY: the caller keeps the contract of execve(2).
    unsafe { libc::execve(program.as_ptr(), argv, env) };
    Errno::last()
}

/// The same, of a program that is open.
///
/// # Safety
///
/// As above.
pub(crate) unsafe fn execute_descriptor(
    program: RawFd,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
) -> Errno {
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: the path is an empty C string; the caller keeps the contract of execveat(2).
    unsafe { libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), argv, env, flags) };
    Errno::last()
}
