//! The default profile: which system calls a container may make.
//!
//! Which calls are allowed, and which only with a capability, is what docker decided and has
//! learned since 2016: `seccomp/default.json` of <https://github.com/moby/profiles>, as of 2026.
//! The grouping and the reasons are ours. What is in no group fails with `EPERM`, and what is
//! newer than all of them with `ENOSYS`, so that a program falls back to what it knew before.
//!
//! Different from docker's: `socketcall` of i386 is refused, since it hides from a filter which
//! family of sockets is asked for; with it the list of families is none. A 32-bit program falls
//! back to the direct calls if its C library can (musl) and has no sockets if not (glibc).

/// Calls that are treated alike.
pub(super) struct Group {
    /// What is to be true of the container's capabilities.
    pub(super) when: When,
    /// The names, in order; of x86-64, of i386, or of both.
    pub(super) calls: &'static [&'static str],
}

/// On what a group depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// On nothing.
    Always,
    /// The container has the capability of this name.
    With(&'static str),
}

const fn always(calls: &'static [&'static str]) -> Group {
    Group {
        when: When::Always,
        calls,
    }
}

const fn with(capability: &'static str, calls: &'static [&'static str]) -> Group {
    Group {
        when: When::With(capability),
        calls,
    }
}

/// The calls that are allowed whatever their arguments are.
#[rustfmt::skip]
pub(super) const ALLOWED: &[Group] = &[
    // Files by path. What may be opened is the mount namespace's and the kernel's permissions'
    // to decide. mknod is among them: no node that is made opens.
    always(&[
        "access", "chdir", "chmod", "chown", "chown32", "creat", "faccessat", "faccessat2",
        "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fstat",
        "fstat64", "fstatat64", "fstatfs", "fstatfs64", "getcwd", "lchown", "lchown32", "link",
        "linkat", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open",
        "openat", "openat2", "readlink", "readlinkat", "rename", "renameat", "renameat2", "rmdir",
        "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "truncate",
        "truncate64", "umask", "unlink", "unlinkat",
    ]),
    // A handle only names a file here; opening one by it is CAP_DAC_READ_SEARCH's, below.
    always(&["name_to_handle_at"]),
    // Times and extended attributes of files.
    always(&[
        "fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "futimesat", "getxattr",
        "getxattrat", "lgetxattr", "listxattr", "listxattrat", "llistxattr", "lremovexattr",
        "lsetxattr", "removexattr", "removexattrat", "setxattr", "setxattrat", "utime",
        "utimensat", "utimensat_time64", "utimes",
    ]),
    // Descriptors: reading, writing, copying, locking, and waiting for any of many.
    always(&[
        "_llseek", "_newselect", "cachestat", "close", "close_range", "copy_file_range", "dup",
        "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
        "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2",
        "fadvise64", "fadvise64_64", "fallocate", "fcntl", "fcntl64", "fdatasync", "flock",
        "fsync", "ftruncate", "ftruncate64", "getdents", "getdents64", "ioctl", "lseek",
        "memfd_create", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pread64", "preadv",
        "preadv2", "pselect6", "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read",
        "readahead", "readv", "select", "sendfile", "sendfile64", "splice", "sync",
        "sync_file_range", "syncfs", "tee", "vmsplice", "write", "writev",
    ]),
    // Asynchronous I/O of the old kind. io_uring is not here: most of the kernel's local holes
    // of its years were in it, and what it does passes no filter (docker dropped it in 2023).
    always(&[
        "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
        "io_setup", "io_submit", "ioprio_get", "ioprio_set",
    ]),
    // Being told of changes to files. Starting with fanotify is CAP_SYS_ADMIN's.
    always(&[
        "fanotify_mark", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
    ]),
    // Looking at the mounts of the own namespace.
    always(&["listmount", "statmount"]),
    // Sockets. Which families there are is a rule of its own, below.
    always(&[
        "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
        "listen", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "sendmmsg", "sendmsg",
        "sendto", "setsockopt", "shutdown", "socketpair",
    ]),
    // Memory of its own. memfd_secret hides some from the kernel itself.
    always(&[
        "brk", "get_thread_area", "madvise", "map_shadow_stack", "membarrier", "memfd_secret",
        "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "modify_ldt", "mprotect",
        "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
        "pkey_mprotect", "remap_file_pages", "set_thread_area",
    ]),
    // Processes and threads. What makes namespaces is below, with clone.
    always(&[
        "arch_prctl", "execve", "execveat", "exit", "exit_group", "fork", "getcpu", "getpgid",
        "getpgrp", "getpid", "getppid", "getpriority", "getrlimit", "getrusage", "getsid",
        "gettid", "kill", "pause", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64",
        "process_mrelease", "restart_syscall", "rseq", "set_tid_address", "setpgid",
        "setpriority", "setrlimit", "setsid", "tgkill", "times", "tkill", "ugetrlimit",
        "uretprobe", "vfork", "wait4", "waitid", "waitpid",
    ]),
    // Looking into other processes: since Linux 4.8 a traced process's calls pass the filter
    // after the tracer could change them, so tracing is no way around it.
    always(&["process_vm_readv", "process_vm_writev", "ptrace"]),
    // Users and groups: what may be changed is the capabilities' to decide.
    always(&[
        "capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
        "getgroups", "getgroups32", "getresgid", "getresgid32", "getresuid", "getresuid32",
        "getuid", "getuid32", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid",
        "setgid32", "setgroups", "setgroups32", "setregid", "setregid32", "setresgid",
        "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setuid", "setuid32",
    ]),
    // Signals.
    always(&[
        "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
        "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
        "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn",
    ]),
    // Scheduling of its own threads.
    always(&[
        "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
        "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
        "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
        "sched_setscheduler", "sched_yield",
    ]),
    // Locks between threads.
    always(&[
        "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
        "get_robust_list", "set_robust_list",
    ]),
    // Clocks and timers. adjtimex and its like read; what sets a clock needs CAP_SYS_TIME.
    always(&[
        "adjtimex", "alarm", "clock_adjtime", "clock_adjtime64", "clock_getres",
        "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
        "clock_nanosleep_time64", "getitimer", "gettimeofday", "nanosleep", "setitimer", "time",
        "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
        "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
        "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
    ]),
    // Messages, semaphores and shared memory of System V and POSIX: they have a namespace.
    always(&[
        "ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
        "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl",
        "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",
        "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
    ]),
    // Giving up more, for programs that jail themselves.
    always(&[
        "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp",
    ]),
    // What the machine is.
    always(&["getrandom", "sysinfo", "uname"]),

    // What only the kernel's own check stands before, if the capability is there.
    with("DAC_READ_SEARCH", &["open_by_handle_at"]),
    with("SYS_ADMIN", &[
        "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
        "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount",
        "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd",
        "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
    ]),
    with("SYS_BOOT", &["reboot"]),
    with("SYS_CHROOT", &["chroot"]),
    with("SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    with("SYS_PACCT", &["acct"]),
    with("SYS_PTRACE", &["kcmp", "pidfd_getfd", "process_madvise"]),
    with("SYS_RAWIO", &["ioperm", "iopl"]),
    with("SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    with("SYS_TTY_CONFIG", &["vhangup"]),
    with("SYS_NICE", &[
        "get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node",
    ]),
    with("SYSLOG", &["syslog"]),
    with("BPF", &["bpf"]),
    with("PERFMON", &["perf_event_open"]),
];

/// `CLONE_NEW*` of `include/uapi/linux/sched.h`, all that fit into the flags of `clone`: without
/// CAP_SYS_ADMIN a new namespace would have to be a user namespace, and with one a container
/// reaches the parts of the kernel that only root reached for thirty years.
///
/// `clone3` keeps its flags in memory, where a filter can't look: it does not exist here
/// (`ENOSYS`), and C libraries use `clone`.
pub(super) const NAMESPACE_FLAGS: u64 = 0x7E02_0000;

/// What `personality(2)` may be asked for: the usual one, `PER_LINUX32`, both with
/// `UNAME26`, and the question which it is. Others switch off address space randomisation, or
/// switch on what nobody has tried for long.
pub(super) const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF];

/// Families of sockets above this one have no meaning yet: `AF_MCTP` is the newest,
/// `include/linux/socket.h`.
pub(super) const LAST_SOCKET_FAMILY: u64 = 45;

/// Families that are refused.
pub(super) const REFUSED_SOCKET_FAMILIES: [u64; 9] = [
    // Gone from the kernel, and hardly looked after before: DECnet, ECONET, ATMSVC, IRDA,
    // WANPIPE, ISDN, CAIF.
    12, 19, 20, 23, 25, 34, 37,
    // ALG: a way into the kernel's cryptography that hardly any program needs, and that has
    // had holes.
    38, // VSOCK: reaches the host and its virtual machines, and has no namespace.
    40,
];
