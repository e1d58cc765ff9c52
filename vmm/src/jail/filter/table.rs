//! The list.

use libc::*;

use super::Role;
use super::ioctls::{self, FIONBIO};

/// A call that may be made.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    pub(super) call: i64,
    pub(super) only: Only,
}

/// With which arguments, counted from 0; the lower 32 bits of them, which are what the kernel
/// looks at.
#[derive(Clone, Copy)]
pub(super) enum Only {
    /// Any.
    Always,
    /// One is one of these.
    Values(u8, &'static [u64]),
    /// One has none of these bits.
    Without(u8, u64),
    /// One is this process's number.
    OwnProcess(u8),
}

use Only::{Always, OwnProcess, Values, Without};

const fn any(call: c_long) -> Allowed {
    only(call, Always)
}

const fn only(call: c_long, only: Only) -> Allowed {
    Allowed { call, only }
}

/// What a role may do, in lists.
pub(super) fn of(role: Role) -> &'static [&'static [Allowed]] {
    match role {
        Role::Main => &[
            EVERY_THREAD,
            STARTS_THREADS,
            MAIN,
            // Of those that it starts when the machine runs, whose filters come on top of its own.
            REQUEST,
            ASKER,
            STDIN,
            OUTPUT,
        ],
        Role::Vcpu => &[EVERY_THREAD, VCPU],
        Role::Devices => &[EVERY_THREAD, EVENT_LOOP, DEVICES],
        Role::Shares => &[EVERY_THREAD, EVENT_LOOP, SHARES],
        Role::Disks => &[EVERY_THREAD, EVENT_LOOP, DISKS],
        Role::Watch => &[EVERY_THREAD, WATCH],
        Role::Control => &[EVERY_THREAD, CONTROL],
        Role::Stdin => &[EVERY_THREAD, STDIN],
        Role::Stdout | Role::Stderr => &[EVERY_THREAD, OUTPUT],
        Role::Request => &[EVERY_THREAD, STARTS_THREADS, REQUEST, ASKER, STDIN, OUTPUT],
        Role::Asker => &[EVERY_THREAD, ASKER],
    }
}

/// Whether threads of this role start others.
pub(super) fn starts_threads(role: Role) -> bool {
    matches!(role, Role::Main | Role::Request)
}

/// The allocator, locks, a thread's end, and that of the process when it panics.
const EVERY_THREAD: &[Allowed] = &[
    any(SYS_brk),
    any(SYS_madvise),
    // No code comes in but what was there.
    only(SYS_mmap, Without(2, PROT_EXEC as u64)),
    only(SYS_mprotect, Without(2, PROT_EXEC as u64)),
    any(SYS_mremap),
    any(SYS_munmap),
    any(SYS_futex),
    // A channel waits so for a moment before it sleeps.
    any(SYS_sched_yield),
    // Where the vDSO has no clock.
    any(SYS_clock_gettime),
    any(SYS_close),
    // Rust makes sure that what it closes is open, in debug builds.
    only(SYS_fcntl, Values(1, &[F_GETFD as u64])),
    // To eventfds; to standard error, when something is to be told.
    any(SYS_write),
    // A stack overflow or an abort is told as what it is.
    only(
        SYS_rt_sigaction,
        Values(0, &[SIGSEGV as u64, SIGBUS as u64, SIGABRT as u64]),
    ),
    any(SYS_rt_sigprocmask),
    any(SYS_rt_sigreturn),
    any(SYS_sigaltstack),
    any(SYS_getpid),
    any(SYS_gettid),
    only(SYS_tgkill, OwnProcess(0)),
    any(SYS_restart_syscall),
    any(SYS_exit),
    any(SYS_exit_group),
];

/// What glibc and Rust do when they start a thread, and that thread before it has its filter.
const STARTS_THREADS: &[Allowed] = &[
    // CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID: a
    // thread, and never a process.
    only(SYS_clone, Values(0, &[0x3d_0f00])),
    // Answered as if it did not exist: `without_clone3`.
    any(SYS_clone3),
    any(SYS_rseq),
    any(SYS_set_robust_list),
    // The bounds of its stack.
    any(SYS_sched_getaffinity),
    only(
        SYS_prctl,
        Values(0, &[PR_SET_NAME as u64, PR_SET_NO_NEW_PRIVS as u64]),
    ),
    // A filter takes away only.
    only(SYS_seccomp, Values(0, &[SECCOMP_SET_MODE_FILTER as u64])),
];

/// Asks for the guest's answer, tells the launcher, makes connections for a further command.
const MAIN: &[Allowed] = &[
    any(SYS_recvfrom),
    any(SYS_sendto),
    only(SYS_socketpair, Values(0, &[AF_UNIX as u64])),
    only(SYS_ioctl, Values(1, &[FIONBIO])),
    only(SYS_fcntl, Values(1, &[F_DUPFD_CLOEXEC as u64])),
];

/// What gets a vCPU out of its guest: glibc's `SIGRTMIN`, which leaves two to glibc.
const KICK: c_int = 34;

/// Runs the guest, does what its accesses to registers bring about, and saves the machine.
const VCPU: &[Allowed] = &[
    only(SYS_ioctl, Values(1, ioctls::OF_VCPU)),
    only(SYS_rt_sigaction, Values(0, &[KICK as u64])),
    // Keys of hash maps: a device is reset.
    any(SYS_getrandom),
    // Marks of the guest's, told to the launcher.
    any(SYS_sendto),
    // A device is reset, or its state taken: events are taken back, bytes on their way taken in.
    any(SYS_read),
    any(SYS_recvfrom),
    // What is saved: found in `/proc/self/maps` and `pagemap`, written to two files.
    any(SYS_lseek),
    any(SYS_statx),
    any(SYS_pread64),
    any(SYS_pwrite64),
    any(SYS_ftruncate),
];

/// Waits for any of many descriptors.
const EVENT_LOOP: &[Allowed] = &[
    any(SYS_epoll_create1),
    any(SYS_epoll_ctl),
    any(SYS_epoll_wait),
    any(SYS_eventfd2),
    // Keys of hash maps, and what the guest has of random numbers.
    any(SYS_getrandom),
    any(SYS_read),
];

/// The root's disk, sockets, network and so on, between descriptors and guest memory.
const DEVICES: &[Allowed] = &[
    any(SYS_preadv),
    any(SYS_readv),
    any(SYS_writev),
    any(SYS_sendto),
    any(SYS_sendmsg),
    any(SYS_shutdown),
    // A frame that a limit holds back.
    any(SYS_timerfd_settime),
];

/// The host's block devices.
const DISKS: &[Allowed] = &[
    any(SYS_preadv),
    any(SYS_pwritev2),
    any(SYS_fdatasync),
    any(SYS_fallocate),
];

/// The host's files. All is done to descriptors, and a name is one component below one; the root
/// is empty.
const SHARES: &[Allowed] = &[
    any(SYS_copy_file_range),
    any(SYS_fallocate),
    any(SYS_fchmodat),
    any(SYS_fchownat),
    only(SYS_fcntl, Values(1, &[F_DUPFD_CLOEXEC as u64])),
    any(SYS_fdatasync),
    any(SYS_fgetxattr),
    any(SYS_flistxattr),
    any(SYS_fremovexattr),
    any(SYS_fsetxattr),
    any(SYS_fstatfs),
    any(SYS_fsync),
    any(SYS_ftruncate),
    any(SYS_getdents64),
    any(SYS_linkat),
    any(SYS_lseek),
    any(SYS_mkdirat),
    any(SYS_mknodat),
    any(SYS_openat),
    any(SYS_openat2),
    any(SYS_preadv),
    any(SYS_pwritev2),
    any(SYS_readlinkat),
    any(SYS_renameat2),
    any(SYS_statx),
    any(SYS_symlinkat),
    any(SYS_syncfs),
    any(SYS_unlinkat),
    any(SYS_utimensat),
    // A file is made as the guest's user, with the guest's umask, which is this thread's alone.
    any(SYS_setfsgid),
    any(SYS_setfsuid),
    any(SYS_umask),
    only(SYS_unshare, Values(0, &[CLONE_FS as u64])),
    // Writes that take set-user-ID bits away are made without the right to leave them.
    any(SYS_capget),
    any(SYS_capset),
];

/// The launcher, and who connects.
const WATCH: &[Allowed] = &[
    any(SYS_poll),
    any(SYS_recvfrom),
    only(
        SYS_accept4,
        Without(3, !(SOCK_CLOEXEC as u64) & 0xffff_ffff),
    ),
];

/// The guest's PID 1.
const CONTROL: &[Allowed] = &[any(SYS_recvfrom), any(SYS_sendto)];

/// From a stream of the launcher's to a socket.
const STDIN: &[Allowed] = &[
    any(SYS_poll),
    any(SYS_read),
    any(SYS_sendto),
    any(SYS_shutdown),
    // Whether it is a device, as the C library asks of a descriptor: by either call.
    any(SYS_fstat),
    only(SYS_newfstatat, Values(3, &[AT_EMPTY_PATH as u64])),
];

/// From a socket to a stream of the launcher's.
const OUTPUT: &[Allowed] = &[any(SYS_poll), any(SYS_recvfrom)];

/// Hears what somebody wants, and answers; runs a further command.
const REQUEST: &[Allowed] = &[
    any(SYS_poll),
    any(SYS_read),
    any(SYS_recvfrom),
    any(SYS_recvmsg),
    any(SYS_sendto),
    any(SYS_sendmsg),
    any(SYS_setsockopt),
    any(SYS_shutdown),
    any(SYS_statx),
    any(SYS_lseek),
    any(SYS_memfd_create),
    only(SYS_fcntl, Values(1, &[F_DUPFD_CLOEXEC as u64])),
];

/// The words of who has asked for a further command, passed on to the guest.
const ASKER: &[Allowed] = &[
    any(SYS_poll),
    any(SYS_recvfrom),
    any(SYS_sendto),
    any(SYS_shutdown),
];
