use launch::CapabilitySet;
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};

use super::architecture::Architecture;
use super::compile::CompileError;
use super::profile::{Profile, Rule};
use super::table::{self, Group, When};

/// The table, for a container with these capabilities.
pub(super) fn profile(capabilities: CapabilitySet) -> Result<Profile, CompileError> {
    let mut rules: Vec<_> = table::ALLOWED
        .iter()
        .filter(|group| applies(group, capabilities))
        .map(|group| allow(group.calls, Vec::new()))
        .collect();
    let known_families = std::iter::once((SeccompCmpOp::Le, table::LAST_SOCKET_FAMILY));
    let refused_families = table::REFUSED_SOCKET_FAMILIES.map(|family| (SeccompCmpOp::Ne, family));
    let families = known_families
        .chain(refused_families)
        .map(|(operator, family)| first_argument(operator, family))
        .collect::<Result<_, _>>()?;
    rules.push(allow(&["socket"], families));
    for persona in table::PERSONALITIES {
        let condition = first_argument(SeccompCmpOp::Eq, persona)?;
        rules.push(allow(&["personality"], vec![condition]));
    }
    if !capabilities.contains(CapabilitySet::SYS_ADMIN) {
        let none = first_argument(SeccompCmpOp::MaskedEq(table::NAMESPACE_FLAGS), 0)?;
        rules.push(allow(&["clone"], vec![none]));
        rules.push(Rule {
            calls: vec!["clone3".into()],
            conditions: Vec::new(),
            action: SeccompAction::Errno(libc::ENOSYS as u32),
        });
    }
    Ok(Profile {
        default: SeccompAction::Errno(libc::EPERM as u32),
        architectures: Architecture::ALL.to_vec(),
        rules,
    })
}

fn applies(group: &Group, capabilities: CapabilitySet) -> bool {
    match group.when {
        When::Always => true,
        When::With(capability) => capabilities.names().any(|name| name == capability),
    }
}

fn allow(calls: &[&'static str], conditions: Vec<SeccompCondition>) -> Rule {
    Rule {
        calls: calls.iter().map(|call| (*call).into()).collect(),
        conditions,
        action: SeccompAction::Allow,
    }
}

/// Of the lower half of the argument, since that is all that the kernel looks at in each of the
/// calls here: a number of 64 bits would be another than the one that it acts on.
fn first_argument(operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, CompileError> {
    Ok(SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        operator,
        value,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::compile::compile;
    use crate::seccomp::simulator::{ALLOW, Call, ENOSYS, EPERM, run};

    fn outcome(capabilities: CapabilitySet, call: &Call) -> u32 {
        run(&compile(&profile(capabilities).unwrap()).unwrap(), call)
    }

    fn by_default(call: &Call) -> u32 {
        outcome(CapabilitySet::default(), call)
    }

    #[test]
    fn every_name_of_the_table_is_a_call() {
        let known: Vec<_> = Architecture::ALL
            .iter()
            .flat_map(|architecture| architecture.calls())
            .map(|(_, name)| name)
            .collect();
        for group in table::ALLOWED {
            for call in group.calls {
                assert!(known.contains(call), "{call}");
            }
        }
    }

    #[test]
    fn every_capability_of_the_table_is_one() {
        for group in table::ALLOWED {
            if let When::With(name) = group.when {
                assert!(
                    CapabilitySet::ALL.names().any(|known| known == name),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn what_programs_need_is_allowed_and_what_hosts_are_run_with_is_not() {
        for architecture in Architecture::ALL {
            for name in [
                "read", "openat", "execve", "mknod", "chroot", "ptrace", "futex",
            ] {
                assert_eq!(
                    by_default(&Call::named(architecture, name)),
                    ALLOW,
                    "{name}"
                );
            }
            for name in [
                "mount",
                "umount2",
                "unshare",
                "setns",
                "bpf",
                "keyctl",
                "add_key",
                "reboot",
                "init_module",
                "kexec_load",
                "perf_event_open",
                "userfaultfd",
                "io_uring_setup",
                "open_by_handle_at",
                "syslog",
                "swapon",
                "acct",
                "settimeofday",
                "move_mount",
                "pivot_root",
                "fsopen",
            ] {
                assert_eq!(
                    by_default(&Call::named(architecture, name)),
                    EPERM,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_call_that_is_newer_than_the_profile_does_not_exist() {
        for architecture in Architecture::ALL {
            assert_eq!(by_default(&Call::numbered(architecture, 5000)), ENOSYS);
            assert_eq!(by_default(&Call::named(architecture, "clone3")), ENOSYS);
        }
    }

    #[test]
    fn the_x32_interface_does_not_exist() {
        let read = Call::numbered(Architecture::X86_64, 0x4000_0000);
        assert_eq!(by_default(&read), ENOSYS);
    }

    #[test]
    fn a_capability_opens_its_calls() {
        for (capability, name) in [
            ("SYS_ADMIN", "mount"),
            ("SYS_ADMIN", "clone3"),
            ("SYS_PTRACE", "kcmp"),
            ("SYSLOG", "syslog"),
            ("BPF", "bpf"),
        ] {
            let names = [capability.parse().unwrap()];
            let capabilities = CapabilitySet::default().changed(&names, &[]);
            let call = Call::named(Architecture::X86_64, name);
            assert_eq!(outcome(capabilities, &call), ALLOW, "{name}");
            let without = CapabilitySet::NONE;
            assert_ne!(outcome(without, &call), ALLOW, "{name}");
        }
        let chroot = Call::named(Architecture::X86_64, "chroot");
        assert_eq!(outcome(CapabilitySet::NONE, &chroot), EPERM);
    }

    #[test]
    fn arguments_decide_where_they_can() {
        for (name, argument, expected) in [
            ("clone", 0x0000_0011, ALLOW),
            ("clone", 0x1000_0000, EPERM),
            ("clone", 0xFFFF_FFFF_0000_0011, ALLOW),
            ("personality", 0, ALLOW),
            ("personality", 0xFFFF_FFFF, ALLOW),
            ("personality", 0x0004_0000, EPERM),
            ("socket", 2, ALLOW),
            ("socket", 16, ALLOW),
            ("socket", 38, EPERM),
            ("socket", 40, EPERM),
            ("socket", 46, EPERM),
            // What the kernel takes for 38.
            ("socket", 0x1_0000_0026, EPERM),
        ] {
            for architecture in Architecture::ALL {
                let call = Call::named(architecture, name).with_argument(0, argument);
                assert_eq!(by_default(&call), expected, "{name} {argument:#x}");
            }
        }
    }
}
