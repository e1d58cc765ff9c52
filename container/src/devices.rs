//! Which devices a container may use.

use entry::{DeviceNode, Privileges};
use host::cgroup::{DeviceKind, DeviceRules};
use launch::{CapabilitySet, Device};

use crate::error::Error;

/// Looks at the nodes of devices.
pub(crate) fn find(devices: &[Device]) -> Result<Vec<DeviceNode>, Error> {
    let found = devices.iter().map(|device| {
        DeviceNode::find(device).map_err(|source| Error::Device {
            path: device.source.clone(),
            source,
        })
    });
    found.collect()
}

/// What the cgroup is to hold the command to, if it has to. A mount option keeps the command from
/// all that it makes nodes of, at no cost. But with CAP_SYS_ADMIN it could mount without that
/// option, and what is done with a node that it was given no mount option can limit.
pub(crate) fn rules(
    given: &[DeviceNode],
    capabilities: CapabilitySet,
    privileges: Privileges,
) -> Option<DeviceRules> {
    // In a user namespace no device works on what is mounted in it.
    let can_mount =
        capabilities.contains(CapabilitySet::SYS_ADMIN) && privileges == Privileges::Root;
    let is_limited = |node: &DeviceNode| {
        let access = node.device().access;
        !access.read || !access.write
    };
    (can_mount || given.iter().any(is_limited)).then(|| {
        given.iter().fold(DeviceRules::usual(), |rules, node| {
            let kind = match node.is_block() {
                true => DeviceKind::Block,
                false => DeviceKind::Char,
            };
            rules.and(kind, node.major(), node.minor(), node.device().access)
        })
    })
}

#[cfg(test)]
mod tests {
    use entry::Ids;
    use launch::{DeviceAccess, MountPoint};

    use super::*;

    fn null(access: &str) -> Device {
        Device {
            source: "/dev/null".into(),
            target: MountPoint::new(b"/dev/given").unwrap(),
            access: DeviceAccess {
                read: access.contains('r'),
                write: access.contains('w'),
                make: access.contains('m'),
            },
        }
    }

    #[test]
    fn the_cgroup_is_only_used_where_a_mount_option_is_not_enough() {
        let (few, many) = (CapabilitySet::default(), CapabilitySet::ALL);
        let [all, some] = ["rwm", "rm"].map(|access| find(&[null(access)]).unwrap());
        let (root, user) = (Privileges::Root, Privileges::UserNamespace(Ids::Many));
        for (given, capabilities, privileges, expected) in [
            (&[][..], few, root, false),
            (&[], many, root, true),
            (&[], many, user, false),
            (&all, few, root, false),
            (&some, few, root, true),
            (&some, few, user, true),
        ] {
            let rules = rules(given, capabilities, privileges);
            assert_eq!(rules.is_some(), expected, "{given:?} {capabilities}");
        }
        let expected = DeviceRules::usual().and(DeviceKind::Char, 1, 3, null("rm").access);
        assert_eq!(rules(&some, few, root), Some(expected));
    }

    #[test]
    fn only_a_device_node_is_a_device() {
        let directory = Device {
            source: "/dev".into(),
            ..null("rwm")
        };
        let error = find(&[directory]).unwrap_err();
        assert_eq!(error.to_string(), "/dev can't be used as a device");
    }
}
