//! Writes a machine that stands still into a snapshot.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::machine::{self, Machine};
use crate::snapshot::{
    AddressSpace, Description, DraftError, DraftFiles, HostIdentity, MachineFacts,
};

/// A machine is not saved.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    #[error("it runs a system of its own, whose disks and clock jaula does not know")]
    OwnSystem,
    #[error("its command has not begun yet")]
    NotBegun,
    #[error("its command has ended")]
    Ended,
    #[error("it uses files of the host's, which a snapshot can't hold")]
    Shares,
    #[error("it uses devices of the host's, which a snapshot can't hold")]
    Disks,
    #[error("its guest has stopped")]
    Stopped,
    #[error("its devices can't be held still, or its disk can't be kept")]
    Hold(#[source] io::Error),
    #[error("the machine's state can't be read")]
    Machine(#[from] machine::SaveError),
    #[error(transparent)]
    Draft(#[from] DraftError),
}

impl SaveError {
    /// What the user can do, if anything is known.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotBegun => Some("try again in a moment"),
            Self::Shares => Some("start one without --volume and --mount type=bind"),
            Self::Disks => Some("start one without --device"),
            Self::Draft(error) => error.remedy(),
            _ => None,
        }
    }
}

/// Writes state and memory of `machine`, whose devices are not served. It may go on after this,
/// before what was written is on the disk.
pub(super) fn save(
    machine: &mut Machine,
    into: &DraftFiles,
    space: &AddressSpace,
    host: HostIdentity,
    facts: MachineFacts,
) -> Result<(), SaveError> {
    let state = machine.save()?;
    let memory = into.write_memory(machine.memory(), space)?;
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let description = Description {
        host,
        machine: MachineFacts {
            saved_at_unix_seconds: since_1970.as_secs(),
            ..facts
        },
        memory,
    };
    Ok(into.write_state(&description, &state)?)
}
