use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use launch::{DiskFiles, Instance, Layers, MonotonicNs, Network, Prepared, Stdio, Workload};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, chdir, chroot, fchdir, geteuid, setgid, setgroups, setuid};
use tempfile::TempDir;

use super::Error;
use super::controls::Controls;
use super::nobody::Nobody;
use super::root::{Root, Writes};
use super::spawned::{Role, Spawned, Start};

/// Who a process of the host's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// The workload's user: root can do to the host what it likes. Only those who trust the image and
    /// the command should run it so.
    User,
    /// A user that owns nothing and may do nothing, whoever the workload's is. Its memory and its
    /// processes have the workload's limits, as far as a process can have them, and all that it
    /// started is killed when it ends.
    Nobody,
}

/// Makes ready the workload as a plain process of the host: the least that starting it can take.
///
/// It has the image as its root, with the host's `/proc` and `/dev` in it, and the environment and
/// the working directory of the workload. Nothing holds it but who it is: no other namespace than that
/// of its mounts, no cgroup, no filter of system calls; it has the host's network.
///
/// # Errors
///
/// When the workload asks for what a plain process can't have, which is named, or the caller is not
/// root. Limits are not among that: it goes without a cgroup's, and a warning says so.
pub fn prepare(workload: &Workload, run_as: RunAs) -> Result<Box<dyn Prepared>, Error> {
    if !geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let nobody = match run_as {
        RunAs::User => None,
        RunAs::Nobody => Some(Nobody::of_this_process().ok_or(Error::NotRoot)?),
    };
    super::refuse([
        (!workload.mounts.is_empty(), "a mount"),
        (!workload.devices.is_empty(), "a device"),
        (
            matches!(workload.network, Network::Bridge { .. }),
            "a bridge",
        ),
        (workload.init, "an init"),
        (workload.terminal.is_some(), "a terminal"),
    ])?;
    Ok(Box::new(HostProcess {
        layers: workload.root.layers.clone(),
        writes: Writes {
            is_read_only: workload.root.read_only,
            owner: nobody,
            most_bytes: nobody.and(workload.resources.memory).map(|it| it.bytes()),
        },
        processes: workload.resources.pids.map(|it| it.get().into()),
        controls: Controls::of(workload)?,
        command: workload.command.clone(),
        mount_point: tempfile::tempdir().map_err(Error::Start)?,
    }))
}

struct HostProcess {
    layers: Layers,
    writes: Writes,
    /// How many a user that is nobody may have.
    processes: Option<u64>,
    controls: Controls,
    command: launch::Command,
    mount_point: TempDir,
}

impl Prepared for HostProcess {
    fn disk_files(&self) -> DiskFiles {
        DiskFiles::of_layers(&self.layers)
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        // A process of the host finds its root made. This one is made anew for each, as what the
        // one before wrote must not be seen.
        let root = Root::make(self.mount_point.path(), &self.layers, self.writes)?;
        root.give_proc_and_dev(self.writes)?;
        let at = MonotonicNs::now();
        let entrance = match self.writes.owner {
            None => self.entrance(&root),
            Some(nobody) => Entrance {
                groups: Vec::new(),
                gid: nobody.group(),
                uid: nobody.user(),
                bounds: Some(Bounds {
                    memory_bytes: self.writes.most_bytes,
                    processes: self.processes,
                }),
                ..self.entrance(&root)
            },
        };
        let (program, role) = (program(&self.command), Role::Workload("fork, chroot"));
        let spawned = Spawned::start(Start {
            at,
            root: Some(root),
            nobody: self.writes.owner,
            ..Start::now(program, stdio, role, move || entrance.take())
        })?;
        Ok(Box::new(spawned))
    }
}

impl HostProcess {
    /// As the workload's user; to be taken while `root` is there.
    fn entrance(&self, root: &Root) -> Entrance {
        let credentials = self.command.credentials();
        let groups = credentials.groups.iter();
        Entrance {
            namespace: root.namespace.as_raw_fd(),
            directory: root.directory.as_raw_fd(),
            cwd: self.command.cwd().to_owned(),
            controls: self.controls.clone(),
            groups: groups.copied().map(Gid::from_raw).collect(),
            gid: Gid::from_raw(credentials.gid),
            uid: Uid::from_raw(credentials.uid),
            bounds: None,
        }
    }
}

fn program(command: &launch::Command) -> Command {
    let text = |it: &CStr| OsStr::from_bytes(it.to_bytes()).to_owned();
    let mut program = Command::new(text(command.program()));
    program
        .args(command.argv().iter().skip(1).map(|it| text(it)))
        .env_clear();
    for variable in command.env() {
        let bytes = variable.to_bytes();
        if let Some(equals) = bytes.iter().position(|byte| *byte == b'=') {
            let (name, value) = (&bytes[..equals], &bytes[equals + 1..]);
            program.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        }
    }
    program
}

/// What the child does on its way to the command.
struct Entrance {
    namespace: RawFd,
    directory: RawFd,
    cwd: CString,
    controls: Controls,
    groups: Vec<Gid>,
    gid: Gid,
    uid: Uid,
    /// For nobody, who has no cgroup to limit it.
    bounds: Option<Bounds>,
}

/// What a user may have that is nobody.
struct Bounds {
    /// Of addresses, in each process: as near to a limit of memory as a process alone can have.
    memory_bytes: Option<u64>,
    processes: Option<u64>,
}

impl Entrance {
    /// Makes system calls only.
    fn take(&self) -> Result<(), Errno> {
        // SAFETY: `Spawned` keeps the root, and with it both descriptors, longer than this runs.
        let borrow = |fd| unsafe { BorrowedFd::borrow_raw(fd) };
        setns(borrow(self.namespace), CloneFlags::CLONE_NEWNS)?;
        fchdir(borrow(self.directory))?;
        chroot(c".")?;
        chdir(self.cwd.as_c_str())?;
        self.controls.apply()?;
        setgroups(&self.groups)?;
        setgid(self.gid)?;
        setuid(self.uid)?;
        match &self.bounds {
            None => Ok(()),
            Some(bounds) => bounds.apply(),
        }
    }
}

impl Bounds {
    /// Makes system calls only.
    fn apply(&self) -> Result<(), Errno> {
        let bounds = [
            (Resource::RLIMIT_AS, self.memory_bytes),
            (Resource::RLIMIT_NPROC, self.processes),
        ];
        for (resource, most) in bounds {
            if let Some(most) = most {
                // What is limited to less already may not be raised.
                let (soft, hard) = getrlimit(resource)?;
                setrlimit(resource, soft.min(most), hard.min(most))?;
            }
        }
        // Or a program of the image that is set-user-ID would make it root.
        prctl::set_no_new_privs()
    }
}
