//! What of the host's kernel a container can reach.

use entry::Privileges;
use launch::{Network, Surface, Workload};

use crate::namespaces::privileges;
use crate::seccomp::{self, Error};

/// Mounts, processes, host name, IPC and cgroups.
const NAMESPACES: usize = 5;

/// Of a container that runs this.
pub(crate) fn of(workload: &Workload) -> Result<Surface, Error> {
    let security = &workload.security;
    let has_network = !matches!(workload.network, Network::Host);
    let has_users = privileges() != Privileges::Root;
    Ok(Surface {
        is_kernel_shared: true,
        allowed_calls: seccomp::allowed_calls(&security.seccomp, security.capabilities)?,
        kvm_ioctls: 0,
        emulated_devices: 0,
        capabilities: security.capabilities.names().count(),
        namespaces: NAMESPACES + usize::from(has_network) + usize::from(has_users),
    })
}

#[cfg(test)]
mod tests {
    use launch::fake::workload;
    use launch::{CapabilitySet, Seccomp};

    use super::*;

    #[test]
    fn what_is_taken_away_counts_less() {
        let all = workload();
        let usual = of(&all).unwrap();
        let mut less = all.clone();
        less.security.capabilities = CapabilitySet::NONE;
        let less = of(&less).unwrap();
        assert_eq!(less.capabilities, 0);
        assert_eq!(usual.capabilities, 14);
        // Some calls come with a capability.
        assert!(less.allowed_calls < usual.allowed_calls);
        assert!(usual.allowed_calls > Some(200), "{usual:?}");

        let mut more = all;
        more.security.seccomp = Seccomp::Unconfined;
        more.network = Network::Host;
        let more = of(&more).unwrap();
        assert_eq!(more.allowed_calls, None);
        assert_eq!(more.namespaces, usual.namespaces - 1);
    }
}
