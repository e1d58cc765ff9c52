//! The network of an ordinary user's instance, who may make neither bridges nor rules: a program
//! beside it takes what it sends and sends it on as the user.
//!
//! Whichever program that is, the instance sees the same network.

mod finding;
mod machine;
mod pasta;
mod slirp4netns;

use std::fs;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use host::InstanceDir;
use host::cgroup::Entrance;
use host::search_path::is_installed;
use launch::{Endpoint, PublishedPort};
use nix::unistd::Pid;

pub use finding::user_mode_finding;
pub use machine::TapInUserMode;

use crate::error::Error;
use crate::held_port::HeldPort;
use crate::rules::Forward;

/// The addresses that slirp4netns gives by itself and pasta is told to give (slirp4netns(1)).
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// The way out.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Passes on what is asked to the host's first name server, even one on its loopback interface.
pub(crate) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const PREFIX_LENGTH: u8 = 24;

/// What an instance's interface is called in it.
const INNER_NAME: &str = "eth0";

/// Ports that are the instance's.
pub struct UserModeReservation(Vec<HeldPort>);

/// Ports that are the program's to take.
pub struct UserModePorts(Vec<Forward>);

/// The program, which ends when this is dropped. It also ends when the instance's directory is
/// removed, should the launcher be killed.
#[derive(Debug)]
pub struct UserMode {
    program: Child,
    forwards: Vec<Forward>,
}

impl UserModeReservation {
    /// Takes all of `published`.
    ///
    /// # Errors
    ///
    /// When one of them is taken, or is not to be had.
    pub fn take(published: &[PublishedPort]) -> Result<Self, Error> {
        let ports = published.iter().map(HeldPort::take);
        ports.collect::<Result<_, _>>().map(Self)
    }

    /// Lets go of them for the program. To be done before the instance's process is made: that
    /// would have a copy of what holds them.
    pub fn release(self) -> UserModePorts {
        UserModePorts(self.0.iter().map(|port| port.forward).collect())
    }
}

impl UserMode {
    /// Connects the network namespace that process `pid` is in, with the user namespace it is in,
    /// and waits until that is done. The program joins the cgroup that `entrance` leads to.
    ///
    /// # Errors
    ///
    /// When there is no program for it, or it fails.
    pub fn connect(
        pid: Pid,
        ports: UserModePorts,
        dir: &InstanceDir,
        entrance: Option<Entrance>,
    ) -> Result<Self, Error> {
        let UserModePorts(forwards) = ports;
        let entrance = entrance.map(Arc::new);
        if let Some(by_pasta) = Self::by_pasta(pid, &forwards, dir, &entrance)? {
            return Ok(by_pasta);
        }
        Self::by_slirp4netns(pid, &forwards, dir, &entrance)?.ok_or(Error::NoUserMode)
    }

    /// The same where what is in the namespace is behind a bridge. Connections from the host itself
    /// to a published port pasta brings to the loopback interface there, which leads to nothing then.
    fn connect_bridge(
        pid: Pid,
        ports: UserModePorts,
        dir: &InstanceDir,
        entrance: Option<Entrance>,
    ) -> Result<Self, Error> {
        let UserModePorts(forwards) = ports;
        let entrance = entrance.map(Arc::new);
        if let Some(by_slirp4netns) = Self::by_slirp4netns(pid, &forwards, dir, &entrance)? {
            return Ok(by_slirp4netns);
        }
        if !forwards.is_empty() {
            return Err(Error::NoSlirp4netns);
        }
        Self::by_pasta(pid, &forwards, dir, &entrance)?.ok_or(Error::NoUserMode)
    }

    /// `None` without pasta.
    fn by_pasta(
        pid: Pid,
        forwards: &[Forward],
        dir: &InstanceDir,
        entrance: &Option<Arc<Entrance>>,
    ) -> Result<Option<Self>, Error> {
        if !is_installed("pasta") {
            return Ok(None);
        }
        let command = pasta::command(pid, forwards, dir.path()).map_err(Error::UserModeFiles)?;
        let program = start(command, entrance)?;
        wait(program, "pasta", forwards.to_vec()).map(Some)
    }

    /// `None` without slirp4netns.
    fn by_slirp4netns(
        pid: Pid,
        forwards: &[Forward],
        dir: &InstanceDir,
        entrance: &Option<Arc<Entrance>>,
    ) -> Result<Option<Self>, Error> {
        if !is_installed("slirp4netns") {
            return Ok(None);
        }
        let command = slirp4netns::command(pid, dir.path()).map_err(Error::UserModeFiles)?;
        let program = start(command, entrance)?;
        let user_mode = wait(program, "slirp4netns", forwards.to_vec())?;
        slirp4netns::forward(dir.path(), forwards).map_err(Error::UserMode)?;
        Ok(Some(user_mode))
    }

    /// Where the instance is found.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            address: ADDRESS.into(),
            prefix_length: PREFIX_LENGTH,
            gateway: GATEWAY.into(),
            ports: self.forwards.iter().map(Forward::mapping).collect(),
        }
    }
}

impl Drop for UserMode {
    fn drop(&mut self) {
        // It may have ended by itself, with the instance.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// The user namespace that a program is to enter for the network namespace of process `pid`; `None`
/// if it is this process's own, which can't be entered again (setns(2)).
fn user_namespace_of(pid: Pid) -> io::Result<Option<PathBuf>> {
    let path = PathBuf::from(format!("/proc/{pid}/ns/user"));
    let is_own = fs::read_link(&path)? == fs::read_link("/proc/self/ns/user")?;
    Ok((!is_own).then_some(path))
}

/// Starts a program that says on its standard output when it is ready, and nothing before.
fn start(mut command: Command, entrance: &Option<Arc<Entrance>>) -> Result<Child, Error> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(entrance) = entrance.clone() {
        // SAFETY: `Entrance::enter` makes system calls only, which is what may be done between
        // fork and exec.
        unsafe { command.pre_exec(move || entrance.enter()) };
    }
    command.spawn().map_err(Error::UserMode)
}

fn wait(program: Child, name: &'static str, forwards: Vec<Forward>) -> Result<UserMode, Error> {
    // From here on it is ended if something fails.
    let mut user_mode = UserMode { program, forwards };
    let program = &mut user_mode.program;
    let mut ready = [0];
    let is_ready = match &mut program.stdout {
        Some(stdout) => stdout.read(&mut ready).map_err(Error::UserMode)? == 1,
        None => false,
    };
    if is_ready {
        return Ok(user_mode);
    }
    let mut said = String::new();
    if let Some(stderr) = &mut program.stderr {
        stderr.read_to_string(&mut said).map_err(Error::UserMode)?;
    }
    let said = said.lines().next_back().unwrap_or("it did not say why");
    Err(Error::UserModeFailed {
        name,
        said: said.to_owned(),
    })
}
