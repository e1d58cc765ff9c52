//! Which devices may be used in a cgroup: rules, and how each version of the interface is told.
//!
//! What no rule allows is denied, whatever nodes there are and whoever made them. Version 1 has
//! control files for it (`cgroup-v1/devices.rst`). Version 2 has a BPF program that the kernel
//! asks each time that a device is opened or a node is made (`cgroup-v2.rst`, "Device
//! controller"): the rules are compiled to one (`program`), which is loaded and attached
//! (`attach`).

mod attach;
mod program;

use launch::DeviceAccess;

pub(super) use attach::attach;

/// What kind of device node it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A character device.
    Char,
    /// A block device.
    Block,
}

impl DeviceKind {
    const BOTH: [Self; 2] = [Self::Char, Self::Block];
}

/// Which devices a rule is about; `None` stands for all numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeviceRule {
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
    access: DeviceAccess,
}

/// The devices that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRules(Vec<DeviceRule>);

const ANY_USE: DeviceAccess = DeviceAccess {
    read: true,
    write: true,
    make: true,
};

/// Of `Documentation/admin-guide/devices.txt`: null, zero, full, random, urandom, tty, console,
/// ptmx.
const USUAL_CHAR_DEVICES: [(u32, u32); 8] = [
    (1, 3),
    (1, 5),
    (1, 7),
    (1, 8),
    (1, 9),
    (5, 0),
    (5, 1),
    (5, 2),
];

/// The major numbers of the Unix98 pseudo-terminals that a ptmx opens, from the same file.
const PTS_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;

impl DeviceRules {
    /// What docker allows everybody: nodes of all devices may be made, and those be used that do
    /// nothing to the host.
    pub fn usual() -> Self {
        const MAKE: DeviceAccess = DeviceAccess {
            read: false,
            write: false,
            make: true,
        };
        let make = DeviceKind::BOTH.map(|kind| DeviceRule {
            kind,
            major: None,
            minor: None,
            access: MAKE,
        });
        let usual = USUAL_CHAR_DEVICES.map(|(major, minor)| (major, Some(minor)));
        let terminals = PTS_MAJORS.map(|major| (major, None));
        let usable = usual.into_iter().chain(terminals);
        let usable = usable.map(|(major, minor)| DeviceRule {
            kind: DeviceKind::Char,
            major: Some(major),
            minor,
            access: ANY_USE,
        });
        Self(make.into_iter().chain(usable).collect())
    }

    /// Allows one more device, by its numbers.
    #[must_use]
    pub fn and(mut self, kind: DeviceKind, major: u32, minor: u32, access: DeviceAccess) -> Self {
        self.0.push(DeviceRule {
            kind,
            major: Some(major),
            minor: Some(minor),
            access,
        });
        self
    }

    /// The lines for `devices.allow` of version 1, after all was denied.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|rule| {
            let kind = match rule.kind {
                DeviceKind::Char => 'c',
                DeviceKind::Block => 'b',
            };
            let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
            let (major, minor) = (number(rule.major), number(rule.minor));
            let mut line = format!("{kind} {major}:{minor} ");
            for (letter, allowed) in [
                ('r', rule.access.read),
                ('w', rule.access.write),
                ('m', rule.access.make),
            ] {
                if allowed {
                    line.push(letter);
                }
            }
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_told_in_lines() {
        let read_only = DeviceAccess {
            read: true,
            write: false,
            make: false,
        };
        let rules = DeviceRules::usual().and(DeviceKind::Block, 8, 1, read_only);
        let lines: Vec<_> = rules.lines().collect();
        assert_eq!(lines[..4], ["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm"]);
        assert!(lines.contains(&"c 136:* rwm".to_owned()));
        assert_eq!(lines.last().unwrap(), "b 8:1 r");
    }
}
