use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use launch::{
    Command, Credentials, Endpoint, InstanceId, Mount, Network, Port, Resources, Security, Side,
    Ulimit,
};
use serde::{Deserialize, Serialize};

use super::process::HostProcess;
use super::text::Text;
use super::{RECORD, open_file};
use crate::rundir::random_id;
use crate::whole_file;

/// Raised with each change that an older jaula would misunderstand.
const VERSION: u32 = 2;

/// More than the arguments and the environment of any command take (`ARG_MAX`, execve(2)), where
/// each byte is a number of its own.
const MAX_BYTES: u64 = 16 << 20;

/// The version, which is looked at before the rest.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Which instance it is, and what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of the format.
    pub version: u32,
    /// What it is called if it has no name: 12 hexadecimal digits. No other has or had it.
    pub id: String,
    /// What it is found by; its ID if the user gave none.
    pub name: String,
    /// When it was started, in nanoseconds since 1970.
    pub created_unix_ns: u64,
    /// The command's process, or the monitor of the VM that it runs in.
    pub process: HostProcess,
    /// The process that waits for it.
    pub keeper: HostProcess,
    /// Where it is found, if it has a network of its own.
    pub endpoint: Option<Endpoint>,
    /// What was asked for.
    pub asked: Asked,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which way it runs.
    pub side: Side,
    /// The image, as the user wrote it.
    pub image: String,
    /// The digest of the image's contents, if it comes from one.
    pub image_id: Option<String>,
    /// What runs.
    pub command: RecordedCommand,
    /// What `uname -n` says in it.
    pub hostname: String,
    /// Whether it runs without its caller.
    pub detached: bool,
    /// Whether nothing stays of it when it has ended.
    pub auto_remove: bool,
    /// The signal that asks it to end.
    pub stop_signal: u8,
    /// How long it may take to end, in seconds, before it is killed; for ever if negative.
    pub stop_timeout_s: i64,
    /// What its user noted down.
    pub labels: BTreeMap<String, String>,
    /// What it is connected to, with the ports that it publishes.
    pub network: Network,
    /// The ports that it is said to listen on, whether they are published or not, in order.
    pub exposed: Vec<Port>,
    /// What it may use.
    pub resources: Resources,
    /// What is mounted in it.
    pub mounts: Vec<Mount>,
    /// What it may do.
    pub security: Security,
    /// Limits of its processes.
    pub ulimits: Vec<Ulimit>,
    /// Whether its root can't be written to.
    pub read_only: bool,
    /// Whether process 1 is an init of ours.
    pub init: bool,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// What is executed, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCommand {
    /// All arguments, the program's name first.
    pub argv: Vec<Text>,
    /// `NAME=value` strings.
    pub env: Vec<Text>,
    /// The working directory.
    pub cwd: Text,
    /// The user.
    pub credentials: Credentials,
}

impl From<&Command> for RecordedCommand {
    fn from(command: &Command) -> Self {
        Self {
            argv: command.argv().iter().map(Text::from).collect(),
            env: command.env().iter().map(Text::from).collect(),
            cwd: command.cwd().into(),
            credentials: command.credentials().clone(),
        }
    }
}

impl Record {
    /// That of an instance which was started just now, by this process.
    ///
    /// # Errors
    ///
    /// When the processes can't be looked at, or there is no random number for an ID.
    pub fn of(
        name: &InstanceId,
        pid: i32,
        endpoint: Option<Endpoint>,
        asked: Asked,
    ) -> io::Result<Self> {
        let name = name.as_str();
        let id = if is_id(name) {
            name.to_owned()
        } else {
            let id = random_id().map_err(io::Error::other)?;
            id.as_str().to_owned()
        };
        Ok(Self {
            version: VERSION,
            id,
            name: name.to_owned(),
            created_unix_ns: now_unix_ns(),
            process: HostProcess::of_or_gone(pid)?,
            keeper: HostProcess::own()?,
            endpoint,
            asked,
        })
    }

    /// Writes it into an instance's directory, whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        whole_file::write(&dir.join(RECORD), &serde_json::to_vec(self)?, 0o600)
    }

    /// Reads that of an instance's directory; `None` if there is none, or none that this jaula
    /// understands.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let file = match open_file(&dir.join(RECORD)) {
            Err(error) if is_absent(&error) => return Ok(None),
            result => result?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let Versioned { version } = serde_json::from_slice(bytes).ok()?;
        (version == VERSION)
            .then(|| serde_json::from_slice(bytes).ok())
            .flatten()
    }
}

/// Whether a name looks like one that was made up.
fn is_id(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == 12 && name.bytes().all(is_digit)
}

/// There is no such file, or something else has its name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(nix::libc::ELOOP)
        || error.raw_os_error() == Some(nix::libc::ENXIO)
}

/// A clock that stands before 1970 is one that says 1970.
pub(super) fn now_unix_ns() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // Until the year 2554.
    since_1970.as_nanos() as u64
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use std::fs;

    use super::*;

    /// One of this process.
    pub fn record(name: &str) -> Record {
        Record {
            version: VERSION,
            id: "0123456789ab".into(),
            name: name.into(),
            created_unix_ns: now_unix_ns(),
            process: HostProcess::own().unwrap(),
            keeper: HostProcess::own().unwrap(),
            endpoint: None,
            asked: asked(),
        }
    }

    fn asked() -> Asked {
        let command = Command::new(
            [&b"sh"[..], b"-c", b"\xff"],
            [&b"A=1"[..]],
            "/",
            Credentials::default(),
        );
        Asked {
            side: Side::Container,
            image: "busybox".into(),
            image_id: None,
            command: (&command.unwrap()).into(),
            hostname: "jaula".into(),
            detached: true,
            auto_remove: false,
            stop_signal: 15,
            stop_timeout_s: 10,
            labels: BTreeMap::from([("a".into(), "b".into())]),
            network: Network::None,
            exposed: Vec::new(),
            resources: Resources::default(),
            mounts: Vec::new(),
            security: Security::default(),
            ulimits: Vec::new(),
            read_only: false,
            init: false,
            terminal: false,
        }
    }

    #[test]
    fn one_without_a_name_has_its_id_for_one() {
        let own = HostProcess::own().unwrap();
        for (name, is_id) in [
            ("0123456789ab", true),
            ("web", false),
            ("0123456789AB", false),
        ] {
            let name: InstanceId = name.parse().unwrap();
            let record = Record::of(&name, own.pid, None, asked()).unwrap();
            assert_eq!(record.id == record.name, is_id, "{name}");
            assert!(super::is_id(&record.id));
            assert_eq!((record.process, record.keeper), (own, own));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let record = record("web");
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), Some(record));
    }

    #[test]
    fn one_of_another_version_is_none_of_ours() {
        let mut record = record("web");
        let bytes = serde_json::to_vec(&record).unwrap();
        assert!(Record::parse(&bytes).is_some());
        record.version += 1;
        assert_eq!(Record::parse(&serde_json::to_vec(&record).unwrap()), None);
        assert_eq!(Record::parse(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn what_is_no_file_is_no_record() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, serde_json::to_vec(&record("web")).unwrap()).unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.path().join(RECORD)).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = Record::parse(&bytes);
        }
    }
}
