//! Capabilities, and who has them.
//!
//! They are a thread's, and so is everything here: who calls it is the only thread, or means
//! itself.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use rustix::thread::{Gid, Uid};

use super::JailError;
use super::identity::Identity;

/// What a monitor keeps of the rights that it was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nothing.
    None,
    /// What root does to files, for the thread that serves the shares: it makes files as the
    /// guest's users, and gives them away. All other threads [give it up](give_up_rights). An
    /// ordinary user's monitor has no such rights to keep.
    OverFiles,
}

/// Not among it: `MKNOD`, so it makes no device; nor anything that leads out of what it was given.
const OVER_FILES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETFCAP)
    // To make files as others: setfsuid(2), setfsgid(2).
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID);

impl Rights {
    /// How many capabilities that is, for a monitor that becomes another user.
    pub(super) fn count(self) -> usize {
        match self {
            Self::None => 0,
            Self::OverFiles => OVER_FILES.bits().count_ones() as usize,
        }
    }

    /// Becomes who it is to be, with these rights.
    pub(super) fn assume(self, identity: &Identity) -> Result<(), JailError> {
        // Whoever becomes another, or makes files as one, keeps the rights that are not taken
        // away below.
        let kept = CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED;
        set_capabilities_secure_bits(kept).map_err(JailError::at("keep its rights"))?;
        empty_bounding_set().map_err(JailError::at("drop the rights to be had"))?;
        if let Identity::Other(id) = identity {
            become_other(*id).map_err(JailError::at("become another user"))?;
        }
        let left = match (self, identity) {
            (Self::None, _) | (_, Identity::Own) => CapabilitySet::empty(),
            (Self::OverFiles, Identity::Other(_)) => OVER_FILES,
        };
        keep(left).map_err(JailError::at("drop its rights"))?;
        set_no_new_privs(true).map_err(JailError::at("forbid new rights"))?;
        // Nobody but root looks into its memory, or finds it in a core dump.
        let hidden = DumpableBehavior::NotDumpable;
        set_dumpable_behavior(hidden).map_err(JailError::at("hide its memory"))
    }
}

/// Leaves the calling thread, and those that it starts, without any right.
pub fn give_up_rights() -> Result<(), JailError> {
    keep(CapabilitySet::empty()).map_err(JailError::at("drop its rights"))
}

fn become_other(id: u32) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

fn keep(rights: CapabilitySet) -> Result<(), Errno> {
    let permitted = capabilities(None)?.permitted & rights;
    let kept = CapabilitySets {
        effective: permitted,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept)
}

fn empty_bounding_set() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let right = CapabilitySet::from_bits_retain(1 << number);
        match remove_capability_from_bounding_set(right) {
            // The first one that this kernel does not know.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}
