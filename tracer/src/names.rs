//! Names of the numbers that stand in arguments.

/// A number and its name.
pub(crate) type Name = (&'static str, u64);

macro_rules! names {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name as u64)),*] };
}

/// Of `openat(2)`.
pub(crate) const OPEN: &[Name] = names![
    O_WRONLY,
    O_RDWR,
    O_CREAT,
    O_EXCL,
    O_NOCTTY,
    O_TRUNC,
    O_APPEND,
    O_NONBLOCK,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_CLOEXEC,
    O_PATH,
];

/// Of `openat2(2)`.
pub(crate) const RESOLVE: &[Name] = names![
    RESOLVE_NO_XDEV,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
];

/// Of `clone(2)` and `unshare(2)`.
pub(crate) const CLONE: &[Name] = names![
    CLONE_NEWNS,
    CLONE_NEWUTS,
    CLONE_NEWIPC,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_NEWUSER,
    CLONE_NEWCGROUP,
    CLONE_VM,
    CLONE_FS,
    CLONE_FILES,
    CLONE_SIGHAND,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_PIDFD,
];

/// Of `clone3` alone: they do not fit into an `int`, include/uapi/linux/sched.h.
pub(crate) const CLONE3: &[Name] = &[
    ("CLONE_CLEAR_SIGHAND", 0x1_0000_0000),
    ("CLONE_INTO_CGROUP", 0x2_0000_0000),
];

/// Of `mount(2)`.
pub(crate) const MOUNT: &[Name] = names![
    MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE,
    MS_SLAVE,
];

/// Of `umount2(2)`.
pub(crate) const UMOUNT: &[Name] = names![MNT_DETACH, UMOUNT_NOFOLLOW];

/// Of `fsmount`, include/uapi/linux/mount.h.
pub(crate) const MOUNT_ATTR: &[Name] = &[
    ("MOUNT_ATTR_RDONLY", 1),
    ("MOUNT_ATTR_NOSUID", 2),
    ("MOUNT_ATTR_NODEV", 4),
    ("MOUNT_ATTR_NOEXEC", 8),
];

/// Of `fsconfig`, the same.
pub(crate) const FSCONFIG: &[Name] = &[
    ("FSCONFIG_SET_FLAG", 0),
    ("FSCONFIG_SET_STRING", 1),
    ("FSCONFIG_SET_BINARY", 2),
    ("FSCONFIG_SET_PATH", 3),
    ("FSCONFIG_SET_PATH_EMPTY", 4),
    ("FSCONFIG_SET_FD", 5),
    ("FSCONFIG_CMD_CREATE", 6),
    ("FSCONFIG_CMD_RECONFIGURE", 7),
    ("FSCONFIG_CMD_CREATE_EXCL", 8),
];

/// Of `open_tree`, the same.
pub(crate) const OPEN_TREE: &[Name] = &[
    ("OPEN_TREE_CLONE", 1),
    ("OPEN_TREE_CLOEXEC", libc::O_CLOEXEC as u64),
    ("AT_EMPTY_PATH", libc::AT_EMPTY_PATH as u64),
    ("AT_RECURSIVE", 0x8000),
];

/// Of `mmap(2)`.
pub(crate) const PROT: &[Name] = names![PROT_READ, PROT_WRITE, PROT_EXEC];

/// The same.
pub(crate) const MAP: &[Name] = names![
    MAP_SHARED,
    MAP_PRIVATE,
    MAP_FIXED,
    MAP_ANONYMOUS,
    MAP_NORESERVE,
    MAP_STACK,
    MAP_POPULATE,
];

/// Of `prctl(2)`.
pub(crate) const PRCTL: &[Name] = names![
    PR_SET_PDEATHSIG,
    PR_SET_DUMPABLE,
    PR_SET_KEEPCAPS,
    PR_SET_NAME,
    PR_CAPBSET_READ,
    PR_CAPBSET_DROP,
    PR_SET_SECUREBITS,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_CAP_AMBIENT,
    PR_SET_MM,
    PR_SET_THP_DISABLE,
    PR_SET_VMA,
];

/// Of `seccomp(2)`.
pub(crate) const SECCOMP: &[Name] = names![
    SECCOMP_SET_MODE_STRICT,
    SECCOMP_SET_MODE_FILTER,
    SECCOMP_GET_ACTION_AVAIL,
];

/// Of `keyctl(2)`, include/uapi/linux/keyctl.h.
pub(crate) const KEYCTL: &[Name] = &[
    ("KEYCTL_GET_KEYRING_ID", 0),
    ("KEYCTL_JOIN_SESSION_KEYRING", 1),
];

/// Of `socket(2)` and `socketpair(2)`.
pub(crate) const FAMILY: &[Name] = names![AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_VSOCK];

/// Of `waitid(2)`.
pub(crate) const WAIT: &[Name] = &[("P_ALL", 0), ("P_PID", 1), ("P_PGID", 2), ("P_PIDFD", 3)];

/// Of `ioctl(2)`: include/uapi/linux/kvm.h, and for the rest ioctl_tty(2), netdevice(7) and
/// include/uapi/linux/if_tun.h.
pub(crate) const REQUEST: &[Name] = &[
    ("KVM_GET_API_VERSION", 0xae00),
    ("KVM_CREATE_VM", 0xae01),
    ("KVM_CHECK_EXTENSION", 0xae03),
    ("KVM_GET_VCPU_MMAP_SIZE", 0xae04),
    ("KVM_GET_SUPPORTED_CPUID", 0xc008_ae05),
    ("KVM_CREATE_VCPU", 0xae41),
    ("KVM_SET_USER_MEMORY_REGION", 0x4020_ae46),
    ("KVM_SET_TSS_ADDR", 0xae47),
    ("KVM_SET_IDENTITY_MAP_ADDR", 0x4008_ae48),
    ("KVM_CREATE_IRQCHIP", 0xae60),
    ("KVM_IRQ_LINE", 0x4008_ae61),
    ("KVM_GET_IRQCHIP", 0xc208_ae62),
    ("KVM_SET_IRQCHIP", 0x8208_ae63),
    ("KVM_SET_GSI_ROUTING", 0x4008_ae6a),
    ("KVM_IRQFD", 0x4020_ae76),
    ("KVM_CREATE_PIT2", 0x4040_ae77),
    ("KVM_IOEVENTFD", 0x4040_ae79),
    ("KVM_SET_CLOCK", 0x4030_ae7b),
    ("KVM_GET_CLOCK", 0x8030_ae7c),
    ("KVM_RUN", 0xae80),
    ("KVM_GET_REGS", 0x8090_ae81),
    ("KVM_SET_REGS", 0x4090_ae82),
    ("KVM_GET_SREGS", 0x8138_ae83),
    ("KVM_SET_SREGS", 0x4138_ae84),
    ("KVM_GET_MSRS", 0xc008_ae88),
    ("KVM_SET_MSRS", 0x4008_ae89),
    ("KVM_GET_FPU", 0x81a0_ae8c),
    ("KVM_SET_FPU", 0x41a0_ae8d),
    ("KVM_GET_LAPIC", 0x8400_ae8e),
    ("KVM_SET_LAPIC", 0x4400_ae8f),
    ("KVM_SET_CPUID2", 0x4008_ae90),
    ("KVM_GET_MP_STATE", 0x8004_ae98),
    ("KVM_SET_MP_STATE", 0x4004_ae99),
    ("KVM_GET_PIT2", 0x8070_ae9f),
    ("KVM_SET_PIT2", 0x4070_aea0),
    ("KVM_SET_VCPU_EVENTS", 0x4040_aea0),
    ("KVM_SET_DEBUGREGS", 0x4080_aea2),
    ("KVM_ENABLE_CAP", 0x4068_aea3),
    ("KVM_GET_XSAVE", 0x9000_aea4),
    ("KVM_SET_XSAVE", 0x5000_aea5),
    ("KVM_SET_XCRS", 0x4188_aea7),
    ("KVM_KVMCLOCK_CTRL", 0xaead),
    ("TCGETS", 0x5401),
    ("TIOCGWINSZ", 0x5413),
    ("FIONBIO", 0x5421),
    ("SIOCSIFFLAGS", 0x8914),
    ("SIOCGIFFLAGS", 0x8913),
    ("TUNSETIFF", 0x4004_54ca),
];

/// The flags in `value`, and what of it has no name.
pub(crate) fn flags(value: u64, tables: &[&[Name]]) -> String {
    let mut rest = value;
    let mut words: Vec<String> = Vec::new();
    for &(name, bits) in tables.iter().copied().flatten() {
        if bits != 0 && rest & bits == bits {
            words.push(name.to_owned());
            rest &= !bits;
        }
    }
    if rest != 0 || words.is_empty() {
        words.push(match rest {
            0 => "0".to_owned(),
            rest => format!("{rest:#x}"),
        });
    }
    words.join("|")
}

/// The name of `value`.
pub(crate) fn one(value: u64, table: &[Name]) -> String {
    match table.iter().find(|(_, number)| *number == value) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("{value:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named_and_the_rest_is_a_number() {
        for (value, expected) in [
            (0, "0"),
            (libc::MS_REC | libc::MS_PRIVATE, "MS_REC|MS_PRIVATE"),
            (libc::MS_REC | 1 << 40, "MS_REC|0x10000000000"),
            (1 << 40, "0x10000000000"),
        ] {
            assert_eq!(flags(value, &[MOUNT]), expected);
        }
    }

    #[test]
    fn one_of_many_is_named_or_a_number() {
        assert_eq!(one(0xae80, REQUEST), "KVM_RUN");
        assert_eq!(one(0xfeed, REQUEST), "0xfeed");
    }

    #[test]
    fn no_two_names_are_for_one_request() {
        for (index, (name, value)) in REQUEST.iter().enumerate() {
            let others = &REQUEST[index + 1..];
            assert!(others.iter().all(|(_, other)| other != value), "{name}");
        }
    }
}
