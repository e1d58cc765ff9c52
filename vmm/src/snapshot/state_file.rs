//! The state file: the [`Description`] and then the state of the machine, in an envelope.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::{self, EnvelopeError, HEADER_BYTES, MAX_CONTENT_BYTES};
use super::{CpuIdentity, Description, HostIdentity, Ring0Kind, STATE, regular_file};

/// Why a state can't be used here.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be read.
    #[error("{path} can't be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not as it was written, or was not written by this version.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Its checksum is right and its content is not.
    #[error("the snapshot's state makes no sense")]
    Senseless(#[source] postcard::Error),
    /// There is more in it than this version knows of.
    #[error("the snapshot's state has {0} bytes too many")]
    Surplus(usize),
    /// The host has another processor.
    #[error("the snapshot was made on another processor: {saved}; this is {here}")]
    OtherCpu {
        /// The one it was made on.
        saved: Box<CpuIdentity>,
        /// This host's.
        here: Box<CpuIdentity>,
    },
    /// The host runs a guest's kernel in another way.
    #[error("the snapshot was made where ring 0 is {saved}; here it is {here}")]
    OtherRing0 {
        /// Where it was made.
        saved: Ring0Kind,
        /// This host's.
        here: Ring0Kind,
    },
    /// It can't be written.
    #[error("the state of the machine can't be encoded")]
    Encode(#[source] postcard::Error),
}

impl StateError {
    /// What the user can do, if anything is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Envelope(error) => Some(error.remedy()),
            Self::Senseless(_) | Self::Surplus(_) => Some("make it again with this jaula"),
            Self::OtherCpu { .. } | Self::OtherRing0 { .. } => {
                Some("restore it on a host like the one that it was made on, or make it again here")
            }
            Self::Read { .. } | Self::Encode(_) => None,
        }
    }
}

/// The bytes of a state file.
///
/// # Errors
///
/// When there are more than a state file may have.
pub(super) fn encode(
    description: &Description,
    machine: &impl Serialize,
) -> Result<Vec<u8>, StateError> {
    let content = postcard::to_stdvec(description).map_err(StateError::Encode)?;
    let content = postcard::to_extend(machine, content).map_err(StateError::Encode)?;
    Ok(envelope::seal(&content)?)
}

/// A state file that was read: as it was written, but of who knows which host.
#[derive(Debug)]
pub struct StateFile {
    description: Description,
    machine: Vec<u8>,
}

impl StateFile {
    /// Reads the one of the snapshot in `dir`.
    ///
    /// # Errors
    ///
    /// When it can't be read, is not as it was written, or is of another version.
    pub fn read(dir: &Path) -> Result<Self, StateError> {
        let path = dir.join(STATE);
        let mut bytes = Vec::new();
        // One more than there may be: what is longer is found out to be damaged.
        let limit = (HEADER_BYTES + MAX_CONTENT_BYTES + 1) as u64;
        let read = |source| StateError::Read {
            path: path.clone(),
            source,
        };
        let file = regular_file::open(&path).map_err(read)?;
        file.ok_or(EnvelopeError::NotASnapshot)?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let content = envelope::open(bytes)?;
        let (description, machine) =
            postcard::take_from_bytes(content).map_err(StateError::Senseless)?;
        Ok(Self {
            description,
            machine: machine.to_vec(),
        })
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The state of the machine, for the host `here`.
    ///
    /// # Errors
    ///
    /// When it was made on another kind of host, or is not the state of a machine of type `M`.
    pub fn machine<M: DeserializeOwned>(&self, here: &HostIdentity) -> Result<M, StateError> {
        let saved = &self.description.host;
        if saved.cpu != here.cpu {
            return Err(StateError::OtherCpu {
                saved: Box::new(saved.cpu.clone()),
                here: Box::new(here.cpu.clone()),
            });
        }
        if saved.ring0 != here.ring0 {
            return Err(StateError::OtherRing0 {
                saved: saved.ring0,
                here: here.ring0,
            });
        }
        let (machine, surplus) =
            postcard::take_from_bytes(&self.machine).map_err(StateError::Senseless)?;
        if !surplus.is_empty() {
            return Err(StateError::Surplus(surplus.len()));
        }
        Ok(machine)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use launch::Digest;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::snapshot::sample::{self, host};
    use crate::snapshot::{Extent, Extents, PAGE_BYTES, SavedMemory};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Machine {
        registers: Vec<u64>,
        devices: Vec<(String, Vec<u8>)>,
    }

    fn machine() -> Machine {
        Machine {
            registers: (0..300).map(|i| i << 40).collect(),
            devices: vec![("disk".into(), vec![7; 900]), ("socket".into(), vec![])],
        }
    }

    fn description() -> Description {
        let extents = (0..200).map(|i| Extent {
            offset: 3 * i * PAGE_BYTES,
            bytes: PAGE_BYTES,
        });
        let extents = Extents::try_from(extents.collect::<Vec<_>>()).unwrap();
        let digest = Digest::from_bytes(&[1; 32]);
        sample::description(SavedMemory::new(128 << 20, extents, digest).unwrap())
    }

    fn sealed() -> Vec<u8> {
        encode(&description(), &machine()).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STATE), sealed()).unwrap();
        let state = StateFile::read(dir.path()).unwrap();
        assert_eq!(*state.description(), description());
        assert_eq!(state.machine::<Machine>(&host()).unwrap(), machine());
    }

    #[test]
    fn another_host_is_refused_and_both_are_named() {
        let state = StateFile::parse(&sealed()).unwrap();
        let mut here = host();
        here.cpu.model ^= 1;
        here.ring0 = Ring0Kind::Hardware;
        let error = state.machine::<Machine>(&here).unwrap_err();
        assert!(matches!(error, StateError::OtherCpu { .. }), "{error}");
        let text = error.to_string();
        for cpu in [&here.cpu, &host().cpu] {
            assert!(text.contains(&cpu.to_string()), "{text}");
        }
        here.cpu = host().cpu;
        let error = state.machine::<Machine>(&here).unwrap_err();
        assert!(matches!(error, StateError::OtherRing0 { .. }), "{error}");
    }

    #[test]
    fn another_machine_than_expected_is_refused() {
        let state = StateFile::parse(&sealed()).unwrap();
        let error = state.machine::<u8>(&host()).unwrap_err();
        assert!(matches!(error, StateError::Surplus(_)), "{error}");
        let error = state.machine::<(Machine, u64)>(&host()).unwrap_err();
        assert!(matches!(error, StateError::Senseless(_)), "{error}");
    }

    #[test]
    fn a_file_that_grows_without_end_is_read_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join(STATE)).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = StateFile::read(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), EnvelopeError::NotASnapshot.to_string());
    }

    #[test]
    fn nobody_waits_at_a_fifo_or_follows_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STATE);
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, sealed()).unwrap();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        for _ in 0..2 {
            let error = StateFile::read(dir.path()).unwrap_err();
            assert_eq!(error.to_string(), EnvelopeError::NotASnapshot.to_string());
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        }
    }

    #[test]
    fn each_refusal_has_a_remedy() {
        let mut newer = sealed();
        newer[8] += 1;
        for bytes in [&newer[..], b"ELF", &sealed()[..99], &[]] {
            let error = StateFile::parse(bytes).unwrap_err();
            assert!(error.remedy().is_some(), "{error}");
        }
    }

    proptest! {
        /// Whoever makes a file can compute its checksum.
        #[test]
        fn hostile_content_with_a_right_checksum_is_refused_or_read(
            mut changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut: Option<prop::sample::Index>,
        ) {
            let mut content = envelope::open(&sealed()).unwrap().to_vec();
            for (index, byte) in changes.drain(..) {
                let at = index.index(content.len());
                content[at] = byte;
            }
            if let Some(cut) = cut {
                content.truncate(cut.index(content.len()));
            }
            if let Ok(state) = StateFile::parse(&envelope::seal(&content).unwrap()) {
                let memory = &state.description().memory;
                prop_assert!(memory.extents().end() <= memory.bytes());
                let _ = state.machine::<Machine>(&host());
            }
        }

        #[test]
        fn arbitrary_content_is_refused_or_read(content: Vec<u8>) {
            if let Ok(state) = StateFile::parse(&envelope::seal(&content).unwrap()) {
                let _ = state.machine::<Machine>(&host());
            }
        }
    }
}
