use std::fs;

use entry::{Ids, Privileges};
use launch::CapabilitySet;

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

/// What this process has and can hand on.
fn held() -> Result<CapabilitySet, Error> {
    let status = fs::read_to_string("/proc/self/status").map_err(Error::OwnCapabilities)?;
    Ok(permitted(&status))
}

/// The permitted set that a `/proc/PID/status` tells.
fn permitted(status: &str) -> CapabilitySet {
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapPrm:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    CapabilitySet::from_bits(bits.unwrap_or_default())
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
    fn the_permitted_set_is_read_from_a_status() {
        let status = "Name:\tx\nCapInh:\t0000000000000001\nCapPrm:\t00000000a80425fb\n";
        assert_eq!(permitted(status), CapabilitySet::default());
        assert_eq!(permitted(""), CapabilitySet::NONE);
    }
}
