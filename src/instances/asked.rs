//! From what was typed to what is kept on record.

use std::collections::BTreeMap;

use host::instances::{Asked, RecordedCommand, Text};
use launch::{Credentials, Resources, Security, Side, Workload};
use vmm::snapshot::{Description, SnapshotName};

use crate::args::{RunArgs, Source, Way};
use crate::notation::{SignalNumber, StopTimeout};
use crate::workload::Held;

/// Asks a command to end, where neither the user nor the image says with what: docker's.
const STOP_SIGNAL: SignalNumber = SignalNumber(nix::libc::SIGTERM as u8);

/// How long it then has, in seconds: docker's.
const STOP_TIMEOUT_S: i64 = 10;

/// Of `jaula snapshot restore`. What the command was given, only the machine knows.
pub fn of_snapshot(name: &SnapshotName, saved: &Description) -> Asked {
    let Description {
        machine, memory, ..
    } = saved;
    Asked {
        side: Side::Vm,
        image: format!("snapshot {name}"),
        image_id: None,
        command: RecordedCommand {
            argv: vec![Text::Utf8(machine.label.clone())],
            env: Vec::new(),
            cwd: Text::Utf8("/".to_owned()),
            credentials: Credentials::default(),
        },
        hostname: String::new(),
        detached: false,
        auto_remove: true,
        stop_signal: STOP_SIGNAL.0,
        stop_timeout_s: STOP_TIMEOUT_S,
        labels: BTreeMap::new(),
        network: machine.network_of_copy(),
        exposed: Vec::new(),
        resources: Resources {
            memory: memory.bytes().to_string().parse().ok(),
            ..machine.resources_of_copy()
        },
        mounts: Vec::new(),
        security: Security::default(),
        ulimits: Vec::new(),
        read_only: false,
        init: false,
        terminal: machine.has_terminal,
    }
}

/// Of `jaula run`, with the signal that the image names.
pub fn of_run(
    args: &RunArgs,
    way: Way,
    workload: &Workload,
    held: &Held,
    image_stop_signal: Option<SignalNumber>,
) -> Asked {
    let (image, image_id) = match args.workload.source_and_command() {
        Ok((Source::Image(name), _)) => (
            name.to_string_lossy().into_owned(),
            Some(workload.root.digest.to_string()),
        ),
        Ok((Source::Directory(dir), _)) => (dir.to_string_lossy().into_owned(), None),
        // A workload was made of them, so there is one.
        Err(_) => (String::new(), None),
    };
    let stop_signal = args
        .stop_signal
        .or(image_stop_signal)
        .unwrap_or(STOP_SIGNAL);
    let labels = args
        .label
        .iter()
        .map(|label| (label.name.clone(), label.value.clone()));
    let (side, own_memory) = match way {
        Way::Container => (Side::Container, None),
        Way::Vm(_) => (Side::Vm, Some(vmm::DEFAULT_MEMORY)),
    };
    Asked {
        side,
        image,
        image_id,
        command: (&workload.command).into(),
        hostname: workload.hostname.to_string(),
        detached: args.detach,
        auto_remove: !args.detach || args.rm,
        stop_signal: stop_signal.0,
        stop_timeout_s: args
            .stop_timeout
            .map_or(STOP_TIMEOUT_S, StopTimeout::seconds),
        labels: labels.collect(),
        network: workload.network.clone(),
        exposed: held.exposed_ports().to_vec(),
        resources: Resources {
            memory: workload.resources.memory.or(own_memory),
            ..workload.resources.clone()
        },
        mounts: workload.mounts.clone(),
        security: workload.security.clone(),
        ulimits: workload.ulimits.clone(),
        read_only: workload.root.read_only,
        init: workload.init,
        terminal: workload.terminal.is_some(),
    }
}
