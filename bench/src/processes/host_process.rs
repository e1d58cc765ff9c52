use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use launch::{Instance, Layers, MonotonicNs, Network, Prepared, Stdio, Workload};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid, chdir, chroot, fchdir, geteuid, setgid, setgroups, setuid};
use tempfile::TempDir;

use super::Error;
use super::root::Root;
use super::spawned::{Spawned, Start};

/// Makes ready the workload as a plain process of the host: the least that starting it can take.
///
/// It has the image as its root, with the host's `/proc` and `/dev` in it, and the user, the
/// environment and the working directory of the workload. Nothing holds it: no other namespace
/// than that of its mounts, no cgroup, no limit, no filter of system calls; it has the host's
/// network, and all capabilities if it is root. Only those who trust an image should run it so.
///
/// # Errors
///
/// When the workload asks for what a plain process can't have, which is named, or the caller is not
/// root. Limits are not among that: it goes without, and a warning says so.
pub fn prepare(workload: &Workload) -> Result<Box<dyn Prepared>, Error> {
    if !geteuid().is_root() {
        return Err(Error::NotRoot);
    }
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
        is_read_only: workload.root.read_only,
        command: workload.command.clone(),
        mount_point: tempfile::tempdir().map_err(Error::Start)?,
    }))
}

struct HostProcess {
    layers: Layers,
    is_read_only: bool,
    command: launch::Command,
    mount_point: TempDir,
}

impl Prepared for HostProcess {
    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        // A process of the host finds its root made. This one is made anew for each, as what the
        // one before wrote must not be seen.
        let root = Root::make(self.mount_point.path(), &self.layers, self.is_read_only)?;
        root.give_proc_and_dev()?;
        let start = MonotonicNs::now();
        let entrance = Entrance::new(&self.command, &root);
        let spawned = Spawned::start(Start {
            at: start,
            program: program(&self.command),
            stdio,
            enter: move || entrance.take(),
            main: Some("fork, chroot"),
            root: Some(root),
        })?;
        Ok(Box::new(spawned))
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
    groups: Vec<Gid>,
    gid: Gid,
    uid: Uid,
}

impl Entrance {
    /// To be taken while `root` is there.
    fn new(command: &launch::Command, root: &Root) -> Self {
        let credentials = command.credentials();
        let groups = credentials.groups.iter();
        Self {
            namespace: root.namespace.as_raw_fd(),
            directory: root.directory.as_raw_fd(),
            cwd: command.cwd().to_owned(),
            groups: groups.copied().map(Gid::from_raw).collect(),
            gid: Gid::from_raw(credentials.gid),
            uid: Uid::from_raw(credentials.uid),
        }
    }

    /// Makes system calls only.
    fn take(&self) -> Result<(), Errno> {
        // SAFETY: `Spawned` keeps the root, and with it both descriptors, longer than this runs.
        let borrow = |fd| unsafe { BorrowedFd::borrow_raw(fd) };
        setns(borrow(self.namespace), CloneFlags::CLONE_NEWNS)?;
        fchdir(borrow(self.directory))?;
        chroot(c".")?;
        chdir(self.cwd.as_c_str())?;
        setgroups(&self.groups)?;
        setgid(self.gid)?;
        setuid(self.uid)
    }
}
