//! What a snapshot says of itself, for a person.

use std::fmt::Write;

use bench::{size, visible};
use vmm::snapshot::envelope::FORMAT_VERSION;
use vmm::snapshot::{Description, HostIdentity, MachineFacts, NetworkFacts, SnapshotName};

use crate::date;

/// Each fact in a line.
pub fn render(name: &SnapshotName, description: &Description) -> String {
    let Description {
        host: HostIdentity { cpu, ring0 },
        machine:
            MachineFacts {
                vcpus,
                kernel,
                init,
                command_line,
                jaula_version,
                saved_at_unix_seconds,
                label,
                network,
                cpus,
                cpuset,
                has_terminal,
            },
        memory,
    } = description;
    let facts = [
        ("name", name.to_string()),
        ("runs", label.clone()),
        ("saved at", date::utc(*saved_at_unix_seconds)),
        (
            "saved by",
            format!("jaula {jaula_version}, format {FORMAT_VERSION}"),
        ),
        ("memory", size(memory.bytes())),
        (
            "memory in use",
            format!(
                "{} in {} pieces",
                size(memory.extents().bytes()),
                memory.extents().count()
            ),
        ),
        ("memory digest", memory.digest().to_string()),
        ("processors", vcpus.to_string()),
        (
            "of the host's time",
            match cpus {
                Some(limit) => format!("{limit} CPUs"),
                None => "no limit".to_owned(),
            },
        ),
        (
            "of the host's CPUs",
            match cpuset {
                Some(cpuset) => cpuset.to_string(),
                None => "all".to_owned(),
            },
        ),
        (
            "network",
            match network {
                Some(NetworkFacts { rate: None }) => "bridge".to_owned(),
                Some(NetworkFacts { rate: Some(rate) }) => format!(
                    "bridge, at most {} a second each way",
                    size(rate.bytes_per_s().get())
                ),
                None => "none".to_owned(),
            },
        ),
        (
            "terminal",
            match has_terminal {
                true => "yes".to_owned(),
                false => "no".to_owned(),
            },
        ),
        ("kernel digest", kernel.to_string()),
        ("kernel command line", command_line.clone()),
        ("init digest", init.to_string()),
        ("host processor", cpu.to_string()),
        ("host ring 0", ring0.to_string()),
    ];
    let width = facts.iter().map(|(fact, _)| fact.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (fact, value) in facts {
        // What is written in a file that anybody may have made must not move the cursor. Writing
        // to a string does not fail.
        let _ = writeln!(text, "{fact:width$}   {}", visible(&value));
    }
    text
}
