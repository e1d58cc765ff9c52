//! `/dev/kvm`: whether it is there, may be used, and has what a machine here needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kvm_ioctls::{Cap, Kvm};

const DEVICE: &str = "/dev/kvm";

/// The only version that there ever was since 2007 (`Documentation/virt/kvm/api.rst`, 4.1).
const API_VERSION: i32 = 12;

/// What a machine can't do without, as it is named in `linux/kvm.h`.
const NEEDED: &[(Cap, &str)] = &[
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::SetTssAddr, "KVM_CAP_SET_TSS_ADDR"),
    (Cap::SetIdentityMapAddr, "KVM_CAP_SET_IDENTITY_MAP_ADDR"),
    (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::Pit2, "KVM_CAP_PIT2"),
    (Cap::Irqfd, "KVM_CAP_IRQFD"),
    (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
];

/// Why this host can't run machines.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// The device is not there.
    #[error("there is no /dev/kvm")]
    Missing,
    /// It is there, but nothing behind it.
    #[error("/dev/kvm is there, but no module of KVM behind it")]
    NoModule,
    /// It may not be opened.
    #[error("/dev/kvm may not be opened by this user")]
    Denied {
        /// Whether its group may.
        group_may: bool,
    },
    /// It can't be opened for another reason.
    #[error("can't open /dev/kvm")]
    Open(#[source] kvm_ioctls::Error),
    /// It speaks another language.
    #[error("/dev/kvm has version {0} of its interface, not {API_VERSION}")]
    Version(i32),
    /// It lacks something.
    #[error("KVM on this host lacks {0}")]
    Lacks(&'static str),
}

impl KvmError {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing | Self::NoModule => {
                "turn on virtualization in the firmware (or nested virtualization on the host \
                 above) and load kvm_intel or kvm_amd"
            }
            Self::Denied { group_may: true } => {
                "add yourself to the group kvm (adduser USER kvm, then log in again), or run as \
                 root"
            }
            Self::Denied { group_may: false } => {
                "run as root, or let a group use it (chgrp kvm /dev/kvm; chmod g+rw /dev/kvm) and \
                 be in that"
            }
            Self::Open(_) => "look at what dmesg says of kvm",
            Self::Version(_) | Self::Lacks(_) => "use Linux 5.10 or later on the host",
        }
    }
}

fn group_may_use(device: &str) -> bool {
    const READ_AND_WRITE: u32 = 0o060;
    fs::metadata(device)
        .is_ok_and(|metadata| metadata.permissions().mode() & READ_AND_WRITE == READ_AND_WRITE)
}

/// Opens KVM, and makes sure that it has what is needed.
///
/// # Errors
///
/// When it has not.
pub fn open() -> Result<Kvm, KvmError> {
    let kvm = Kvm::new().map_err(|error| match error.errno() {
        libc::ENOENT => KvmError::Missing,
        libc::ENODEV | libc::ENXIO => KvmError::NoModule,
        libc::EACCES | libc::EPERM => KvmError::Denied {
            group_may: group_may_use(DEVICE),
        },
        _ => KvmError::Open(error),
    })?;
    match kvm.get_api_version() {
        API_VERSION => {}
        other => return Err(KvmError::Version(other)),
    }
    match NEEDED.iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
        Some((_, name)) => Err(KvmError::Lacks(name)),
        None => Ok(kvm),
    }
}
