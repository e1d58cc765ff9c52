use std::ffi::CString;
use std::fs::File;
use std::io::{self, Seek};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use guest_protocol::{FrameError, Interface, Task, read_message, write_message};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use super::Channel;
use crate::boot::Backing;
use crate::devices::virtio::block::Access;
use crate::machine::Size;
use crate::ring0::Ring0;
use crate::snapshot::{HostIdentity, MachineFacts};
use crate::vcpu::HostCpuid;

/// What the monitor is to do. `F` is how it holds the files that it needs: open in the launcher
/// and the monitor, numbered on the way between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Assignment<F> {
    /// The launcher's process ID, as the monitor sees it.
    pub(crate) launcher: i32,
    /// Who executes the guest kernel's instructions.
    pub(crate) ring0: Ring0,
    /// What this host is. To ask the processor again would take a tenth of a millisecond where it
    /// is virtual itself.
    pub(crate) host: HostIdentity,
    /// What is written into the machine's snapshots.
    pub(crate) facts: MachineFacts,
    /// What is to come of it.
    pub(crate) job: Job<F>,
}

/// What is to come of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Job<F> {
    /// It runs a command to its end.
    Run(Run<F>),
    /// It boots until it waits for a command, and is saved.
    MakeTemplate {
        from: Box<BootFrom<F>>,
        /// How many places for disks it has, besides that of the root's.
        disks: usize,
        into: SnapshotFiles<F>,
    },
}

/// The empty files of a snapshot, open for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotFiles<F> {
    /// Where they are, to be told.
    pub(crate) dir: PathBuf,
    pub(crate) state: F,
    pub(crate) memory: F,
}

/// A command in a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run<F> {
    pub(crate) origin: Origin<F>,
    pub(crate) work: Work,
    /// The root disk's image.
    pub(crate) disk: F,
    /// Files of the host's that the guest may use.
    pub(crate) shares: Vec<SharedFile<F>>,
    /// Block devices of the host's that the guest has as disks.
    pub(crate) disks: Vec<DiskFile<F>>,
    /// What connects it to a network, if anything does.
    pub(crate) network: Option<NetworkLink<F>>,
    pub(crate) stdin: F,
    pub(crate) stdout: F,
    pub(crate) stderr: F,
    /// A listening socket for those who want something of the running instance.
    pub(crate) requests: F,
}

/// A file or directory of the host's that the guest may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedFile<F> {
    /// Opened with `O_PATH`.
    pub(crate) root: F,
    pub(crate) read_only: bool,
}

/// A block device of the host's that the guest has as a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskFile<F> {
    pub(crate) device: F,
    pub(crate) access: Access,
}

/// What connects a machine to a network of the host's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkLink<F> {
    pub(crate) tap: F,
    /// The longest packet that the network takes, in bytes.
    pub(crate) mtu: u16,
    /// Most bytes a second, each way.
    pub(crate) rate: Option<NonZeroU64>,
    /// The guest's end.
    pub(crate) interface: Interface,
}

/// What a machine's command is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// The guest waits to be told what to run.
    New(Box<Task>),
    /// It runs already.
    Running,
    /// None: the guest is a system of the user's, which knows nothing of this.
    Own,
}

/// Where a machine's state comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Origin<F> {
    /// It boots.
    Boot(Box<BootFrom<F>>),
    /// It goes on from the snapshot in this directory.
    Restore(PathBuf),
}

/// What a machine boots from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BootFrom<F> {
    pub(crate) kernel: BootFile<F>,
    pub(crate) initrd: BootFile<F>,
    pub(crate) size: Size,
    /// The kernel's.
    pub(crate) command_line: CString,
    /// To ask KVM again would take a third of a millisecond where the host is virtual itself.
    pub(crate) cpuid: HostCpuid,
}

/// A file that is brought into guest memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootFile<F> {
    /// With a file position of its own.
    pub(crate) image: F,
    /// How it comes into guest memory.
    pub(crate) backing: Backing,
}

/// What there is to do can't be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssignmentError {
    /// The socket failed.
    #[error("the connection between launcher and monitor broke")]
    Socket(#[from] Errno),
    /// The file that holds it failed.
    #[error("the monitor can't be told what to do")]
    File(#[from] io::Error),
    /// It can't be written or read.
    #[error("the monitor can't be told what to do")]
    Frame(#[from] FrameError),
    /// Something is missing.
    #[error("the launcher did not say all that the monitor must know")]
    Incomplete,
}

impl Assignment<OwnedFd> {
    /// Tells it to the monitor: in a file, since a command's arguments may be longer than any
    /// packet, sent before the other descriptors. They are the monitor's alone from here on.
    pub(crate) fn send(self, channel: &Channel) -> Result<(), AssignmentError> {
        let mut files = Vec::new();
        let numbered = self.try_map(&mut |file| {
            files.push(file);
            Ok::<_, AssignmentError>(files.len() - 1)
        })?;
        let mut told = File::from(memfd_create(c"jaula-assignment", MFdFlags::MFD_CLOEXEC)?);
        write_message(&mut told, &numbered)?;
        told.rewind()?;
        let mut all = vec![told.as_fd()];
        all.extend(files.iter().map(AsFd::as_fd));
        Ok(channel.send_descriptors(&all)?)
    }

    /// Waits for what the launcher tells; `None` if that is gone.
    pub(crate) fn receive(channel: &Channel) -> Result<Option<Self>, AssignmentError> {
        let Some(received) = channel.receive_descriptors()? else {
            return Ok(None);
        };
        let mut received = received.into_iter();
        let told = received.next().ok_or(AssignmentError::Incomplete)?;
        let numbered: Assignment<usize> =
            read_message(&mut File::from(told))?.ok_or(AssignmentError::Incomplete)?;
        let mut files: Vec<_> = received.map(Some).collect();
        numbered
            .try_map(&mut |number| files.get_mut(number).and_then(Option::take).ok_or(()))
            .map(Some)
            .map_err(|()| AssignmentError::Incomplete)
    }
}

impl<F> Assignment<F> {
    /// The same with each file as `f` makes it, in the order in which they stand above.
    fn try_map<G, E>(self, f: &mut impl FnMut(F) -> Result<G, E>) -> Result<Assignment<G>, E> {
        Ok(Assignment {
            launcher: self.launcher,
            ring0: self.ring0,
            host: self.host,
            facts: self.facts,
            job: match self.job {
                Job::Run(run) => Job::Run(run.try_map(f)?),
                Job::MakeTemplate { from, disks, into } => Job::MakeTemplate {
                    from: Box::new(from.try_map(f)?),
                    disks,
                    into: into.try_map(f)?,
                },
            },
        })
    }
}

impl<F> Run<F> {
    fn try_map<G, E>(self, f: &mut impl FnMut(F) -> Result<G, E>) -> Result<Run<G>, E> {
        Ok(Run {
            origin: match self.origin {
                Origin::Boot(from) => Origin::Boot(Box::new(from.try_map(f)?)),
                Origin::Restore(dir) => Origin::Restore(dir),
            },
            work: self.work,
            disk: f(self.disk)?,
            shares: self
                .shares
                .into_iter()
                .map(|shared| {
                    Ok(SharedFile {
                        root: f(shared.root)?,
                        read_only: shared.read_only,
                    })
                })
                .collect::<Result<_, E>>()?,
            disks: self
                .disks
                .into_iter()
                .map(|disk| {
                    Ok(DiskFile {
                        device: f(disk.device)?,
                        access: disk.access,
                    })
                })
                .collect::<Result<_, E>>()?,
            network: self.network.map(|link| link.try_map(f)).transpose()?,
            stdin: f(self.stdin)?,
            stdout: f(self.stdout)?,
            stderr: f(self.stderr)?,
            requests: f(self.requests)?,
        })
    }
}

impl<F> SnapshotFiles<F> {
    fn try_map<G, E>(self, f: &mut impl FnMut(F) -> Result<G, E>) -> Result<SnapshotFiles<G>, E> {
        Ok(SnapshotFiles {
            dir: self.dir,
            state: f(self.state)?,
            memory: f(self.memory)?,
        })
    }
}

impl<F> NetworkLink<F> {
    fn try_map<G, E>(self, f: &mut impl FnMut(F) -> Result<G, E>) -> Result<NetworkLink<G>, E> {
        Ok(NetworkLink {
            tap: f(self.tap)?,
            mtu: self.mtu,
            rate: self.rate,
            interface: self.interface,
        })
    }
}

impl<F> BootFrom<F> {
    fn try_map<G, E>(self, f: &mut impl FnMut(F) -> Result<G, E>) -> Result<BootFrom<G>, E> {
        Ok(BootFrom {
            kernel: self.kernel.try_map(f)?,
            initrd: self.initrd.try_map(f)?,
            size: self.size,
            command_line: self.command_line,
            cpuid: self.cpuid,
        })
    }
}

impl<F> BootFile<F> {
    fn try_map<G, E>(self, f: &mut impl FnMut(F) -> Result<G, E>) -> Result<BootFile<G>, E> {
        Ok(BootFile {
            image: f(self.image)?,
            backing: self.backing,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use launch::{Command, Credentials, Digest};

    use super::*;
    use crate::snapshot::NetworkFacts;

    fn file() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    fn assignment(argument: &str) -> Assignment<OwnedFd> {
        let command = Command::new(["a", argument], [], "/", Credentials::default()).unwrap();
        Assignment {
            launcher: 1,
            ring0: Ring0::Hardware {
                instructions_per_second: 1,
            },
            host: HostIdentity::of_host(Ring0::Hardware {
                instructions_per_second: 1,
            }),
            facts: MachineFacts {
                vcpus: 1,
                kernel: Digest::from_bytes(&[1]),
                init: Digest::from_bytes(&[2]),
                command_line: "quiet".to_owned(),
                jaula_version: "0".to_owned(),
                saved_at_unix_seconds: 0,
                label: "test".to_owned(),
                network: Some(NetworkFacts { rate: None }),
                cpus: None,
                cpuset: None,
                has_terminal: true,
            },
            job: Job::Run(Run {
                origin: Origin::Restore("/snapshot".into()),
                work: Work::New(Box::new(Task {
                    command,
                    files: entry::NameFiles::without_network(
                        &"a".parse().unwrap(),
                        &launch::Names::default(),
                    )
                    .unwrap(),
                    hostname: "a".parse().unwrap(),
                    mounts: Vec::new(),
                    disks: Vec::new(),
                    terminal: None,
                    init: false,
                    ulimits: Vec::new(),
                    read_only: false,
                    pids: None,
                    security: launch::Security::default(),
                })),
                disk: file(),
                shares: (0..200)
                    .map(|number| SharedFile {
                        root: file(),
                        read_only: number % 2 == 0,
                    })
                    .collect(),
                disks: [Access::ReadOnly, Access::ReadWrite]
                    .map(|access| DiskFile {
                        device: file(),
                        access,
                    })
                    .into(),
                network: Some(NetworkLink {
                    tap: file(),
                    mtu: 1500,
                    rate: NonZeroU64::new(1 << 20),
                    interface: Interface {
                        ethernet_address: [2, 0, 0, 0, 0, 1],
                        address: [192, 0, 2, 2].into(),
                        prefix_length: 24,
                        gateway: [192, 0, 2, 1].into(),
                    },
                }),
                stdin: file(),
                stdout: file(),
                stderr: file(),
                requests: file(),
            }),
        }
    }

    /// With the inode of each file in its place.
    fn inodes(assignment: Assignment<OwnedFd>) -> Assignment<u64> {
        let inode = |file| Ok::<_, io::Error>(File::from(file).metadata()?.ino());
        assignment.try_map(&mut { inode }).unwrap()
    }

    #[test]
    fn a_command_of_megabytes_arrives_whole_and_each_file_in_its_place() {
        let (ours, theirs) = Channel::pair().unwrap();
        let sent = assignment(&"x".repeat(1 << 20));
        let mut copies = Vec::new();
        let sent = sent
            .try_map(&mut |file: OwnedFd| {
                copies.push(file.try_clone()?);
                Ok::<_, io::Error>(file)
            })
            .unwrap();
        sent.send(&ours).unwrap();
        let received = Assignment::receive(&Channel::new(theirs)).unwrap().unwrap();
        let mut copies = copies.into_iter();
        let expected = assignment(&"x".repeat(1 << 20))
            .try_map(&mut |_| copies.next().ok_or(()))
            .unwrap();
        assert_eq!(inodes(received), inodes(expected));
    }
}
