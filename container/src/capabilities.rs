use entry::{Ids, Privileges};
use launch::CapabilitySet;
use nix::errno::Errno;

use crate::error::Error;

/// What a container has that is to have these. `ALL` is all that the launcher has, as in docker;
/// of another set none may be missing.
pub(crate) fn given(wanted: CapabilitySet, privileges: Privileges) -> Result<CapabilitySet, Error> {
    match privileges {
        Privileges::Root | Privileges::UserNamespace(Ids::Many) => of(wanted, held()?),
        // In a user namespace of its own, a process has them all.
        Privileges::UserNamespace(Ids::One) => Ok(wanted),
    }
}

/// Whether this process has rights over the user namespace that it is in.
pub(crate) fn may_administrate() -> bool {
    held().is_ok_and(|held| held.contains(CapabilitySet::SYS_ADMIN))
}

fn of(wanted: CapabilitySet, held: CapabilitySet) -> Result<CapabilitySet, Error> {
    let missing = wanted.without(held);
    if missing == CapabilitySet::NONE || wanted == CapabilitySet::ALL {
        Ok(wanted.without(missing))
    } else {
        Err(Error::Capabilities(missing))
    }
}

/// What this process has and can hand on: its permitted set.
fn held() -> Result<CapabilitySet, Error> {
    /// `include/uapi/linux/capability.h`: sets of 64 bits in two halves.
    const VERSION_3: u32 = 0x2008_0522;
    const EMPTY: Half = Half {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut halves = [EMPTY; 2];
    // SAFETY: version 3 writes two halves, and all three live through the call; 0 is the caller.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    Errno::result(got).map_err(|errno| Error::OwnCapabilities(errno.into()))?;
    let [low, high] = halves.map(|half| u64::from(half.permitted));
    Ok(CapabilitySet::from_bits(high << 32 | low))
}

/// `struct __user_cap_header_struct` of the same file.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct` of the same file.
#[repr(C)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_capability_is_given_that_is_not_held() {
        let default = CapabilitySet::default();
        let chown = CapabilitySet::from_bits(1);
        let held = CapabilitySet::ALL.without(chown);
        assert_eq!(of(CapabilitySet::ALL, held).unwrap(), held);
        assert_eq!(
            of(default.without(chown), held).unwrap(),
            default.without(chown)
        );
        assert!(matches!(of(default, held), Err(Error::Capabilities(missing)) if missing == chown));
    }

    #[test]
    fn what_is_held_is_what_the_status_says() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let bits = status
            .lines()
            .find_map(|line| line.strip_prefix("CapPrm:"))
            .unwrap();
        let bits = u64::from_str_radix(bits.trim(), 16).unwrap();
        assert_eq!(super::held().unwrap(), CapabilitySet::from_bits(bits));
    }
}
