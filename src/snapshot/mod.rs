//! `jaula snapshot`: machines that users saved and named.

mod facts;
mod restore;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bench::size;
use launch::Chain;
use serde::Serialize;
use vmm::snapshot::{CpuIdentity, Description, HostIdentity, SnapshotName, Store, StoreError};

use crate::args::SnapshotAction;
use crate::error::Error;
use crate::installation::{self, Installation};
use crate::{date, listing, output};

/// What takes the place of what is not known.
const UNKNOWN: &str = "-";

/// Size of a block in `st_blocks`, stat(3type).
const BLOCK_BYTES: u64 = 512;

/// Does it; the exit code is that of the command if one goes on, and 0 otherwise.
pub fn snapshot(action: &SnapshotAction) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let store = installation.snapshots()?;
    match action {
        SnapshotAction::Create { instance, name } => {
            installation.sweep()?;
            vmm::save(installation.run_dir(), instance, &store, name)?;
            output::print(&name.to_string())?;
        }
        SnapshotAction::Restore(args) => return restore::restore(args, &installation, &store),
        SnapshotAction::Ls => {
            let here = installation::ring0().map(HostIdentity::of_host);
            output::print(&list(&store, here.as_ref())?)?;
        }
        SnapshotAction::Inspect(args) => {
            output::print(&inspect(&store, &args.name, args.json)?)?;
        }
        SnapshotAction::Rm { names } => {
            for name in names {
                store.remove(name).map_err(failed)?;
                output::print(&name.to_string())?;
            }
        }
    }
    Ok(0)
}

fn failed(error: StoreError) -> launch::Error {
    let remedy = error.remedy();
    launch::Error::remedied(error, remedy)
}

fn list(store: &Store, here: Option<&HostIdentity>) -> Result<String, launch::Error> {
    let mut rows = Vec::new();
    for name in store.list().map_err(failed)? {
        // One that is removed meanwhile is no longer to be listed.
        let Ok(dir) = store.find(&name) else { continue };
        let on_disk = disk_bytes(&dir).map_or_else(|_| UNKNOWN.into(), size);
        rows.push(match store.inspect(&name) {
            Ok(file) => {
                let description = file.description();
                [
                    name.to_string(),
                    size(description.memory.bytes()),
                    on_disk,
                    date::utc(description.machine.saved_at_unix_seconds),
                    state(description, here).to_owned(),
                ]
            }
            Err(error) => [
                name.to_string(),
                UNKNOWN.into(),
                on_disk,
                UNKNOWN.into(),
                format!("unusable: {}", why(&error)),
            ],
        });
    }
    let heads = ["NAME", "MEMORY", "SIZE", "CREATED", "STATE"];
    Ok(listing::render(heads, &rows))
}

/// Whether a VM can go on from it here.
fn state(description: &Description, here: Option<&HostIdentity>) -> &'static str {
    let saved = &description.host;
    match here {
        _ if saved.cpu != CpuIdentity::of_host() => "foreign: made on another processor",
        Some(here) if saved.ring0 != here.ring0 => "foreign: ring 0 is another here",
        Some(_) => "usable",
        None => "foreign: there is no KVM here",
    }
}

/// The cause: which snapshot it is stands beside it.
fn why(error: &StoreError) -> String {
    match error {
        StoreError::Unusable { source, .. } => Chain(source).to_string(),
        error => Chain(error).to_string(),
    }
}

/// What its files take of the disk.
fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut blocks = 0;
    for entry in fs::read_dir(dir)? {
        blocks += entry?.metadata()?.blocks();
    }
    Ok(blocks * BLOCK_BYTES)
}

fn inspect(store: &Store, name: &SnapshotName, json: bool) -> Result<String, launch::Error> {
    #[derive(Serialize)]
    struct Facts<'a> {
        name: String,
        #[serde(flatten)]
        description: &'a Description,
    }
    let file = store.inspect(name).map_err(failed)?;
    let description = file.description();
    if json {
        let name = name.to_string();
        serde_json::to_string_pretty(&Facts { name, description }).map_err(launch::Error::new)
    } else {
        Ok(facts::render(name, description))
    }
}

#[cfg(test)]
mod tests {
    use launch::Digest;
    use tempfile::TempDir;
    use vmm::memory;
    use vmm::snapshot::{AddressSpace, MachineFacts, NetworkFacts, Ring0Kind};

    use super::*;

    /// A store with one snapshot of a machine that has done nothing.
    fn store() -> (TempDir, Store, HostIdentity) {
        let dir = TempDir::new().unwrap();
        let store = Store::new(dir.path());
        let host = HostIdentity {
            cpu: CpuIdentity::of_host(),
            ring0: Ring0Kind::Emulated,
        };
        let unfinished = store.begin(&"shell".parse().unwrap()).unwrap();
        let memory = memory::allocate(64 << 20).unwrap();
        let draft = unfinished.files();
        let description = Description {
            host: host.clone(),
            machine: MachineFacts {
                vcpus: 1,
                kernel: Digest::from_bytes(&[2; 32]),
                init: Digest::from_bytes(&[3; 32]),
                command_line: "quiet".into(),
                jaula_version: "0.1.0".into(),
                saved_at_unix_seconds: 1_767_323_045,
                label: "sh\u{1b}[2J".into(),
                network: Some(NetworkFacts {
                    rate: Some("10m".parse().unwrap()),
                }),
                cpus: Some("0.5".parse().unwrap()),
                cpuset: None,
                has_terminal: true,
            },
            memory: draft
                .write_memory(&memory, &AddressSpace::of_process().unwrap())
                .unwrap(),
        };
        draft.write_state(&description, &()).unwrap();
        unfinished.finish().unwrap();
        (dir, store, host)
    }

    #[test]
    fn a_snapshot_is_a_line_that_says_whether_it_can_be_used_here() {
        let (_dir, store, mut host) = store();
        let listed = list(&store, Some(&host)).unwrap();
        let columns: Vec<_> = listed.lines().nth(1).unwrap().split("   ").collect();
        let [name, memory, _size, created, state] = columns[..] else {
            panic!("{listed}");
        };
        assert_eq!(
            [name, memory, created, state],
            ["shell", "64.0 MiB", "2026-01-02T03:04:05Z", "usable"]
        );
        host.ring0 = Ring0Kind::Hardware;
        let listed = list(&store, Some(&host)).unwrap();
        assert!(
            listed.contains("foreign: ring 0 is another here"),
            "{listed}"
        );
    }

    #[test]
    fn a_damaged_snapshot_is_listed_with_the_reason() {
        let (dir, store, host) = store();
        fs::write(dir.path().join("shell/state"), "no state").unwrap();
        let listed = list(&store, Some(&host)).unwrap();
        let line = listed.lines().nth(1).unwrap();
        assert!(line.starts_with("shell   -"), "{line}");
        assert!(line.contains("unusable: this is no snapshot"), "{line}");
    }

    #[test]
    fn all_facts_are_shown_and_none_is_obeyed() {
        let (_dir, store, _) = store();
        let shown = inspect(&store, &"shell".parse().unwrap(), false).unwrap();
        assert!(
            shown.contains("runs                  sh\\u{1b}[2J\n"),
            "{shown}"
        );
        assert!(
            shown.contains("saved at              2026-01-02T03:04:05Z\n"),
            "{shown}"
        );
    }

    #[test]
    fn as_json_it_is_what_the_file_says() {
        let (_dir, store, host) = store();
        let json = inspect(&store, &"shell".parse().unwrap(), true).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["name"], "shell");
        assert_eq!(value["memory"]["bytes"], 64 << 20);
        assert_eq!(value["host"]["cpu"]["vendor"], host.cpu.vendor.as_str());
    }

    #[test]
    fn a_snapshot_that_is_not_there_is_named() {
        let dir = TempDir::new().unwrap();
        let store = Store::new(dir.path());
        let error = inspect(&store, &"none".parse().unwrap(), false).unwrap_err();
        assert_eq!(error.to_string(), "there is no snapshot none");
        assert_eq!(error.remedy(), Some("see jaula snapshot ls"));
    }
}
