//! What surrounds any command, whichever it is.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

use crate::action::{Action, Filesystem};
use crate::failure::{At, Failure, Step};
use crate::lookup;
use crate::path::{InvalidPath, c_path};
use crate::plan::{self, Sysfs};
use crate::privileges::Privileges;
use crate::scenery::Scenery;
use crate::signals;
use crate::site::Site;
use crate::syscall;

/// The first half of the way to a command: all that depends neither on it nor on its image. So
/// it can be done before either is known.
pub struct Stage {
    directory: CString,
    actions: Vec<Action>,
}

impl Stage {
    /// Prepares everything: [`Stage::set`] will only make system calls.
    ///
    /// `directory` is one where the caller is, on a tmpfs that device nodes work on, in which
    /// nothing is called `proc`, `sys`, `dev`, `nodes` or `empty` yet.
    ///
    /// # Errors
    ///
    /// When the path can't be given to a system call.
    pub fn new(
        directory: &Path,
        privileges: Privileges,
        sysfs: Sysfs,
    ) -> Result<Self, InvalidPath> {
        Ok(Self {
            directory: c_path(directory)?,
            actions: plan::plan(privileges, sysfs),
        })
    }

    /// Mounts what a root has of the kernel's own file systems, below the stage's directory, and
    /// lets go of what no command keeps.
    ///
    /// The caller is a process of one thread in new pid, mount, uts, ipc and cgroup namespaces,
    /// with a `/proc` that shows itself; its network namespace is the command's. It may be the
    /// child of a process with several threads: nothing is allocated, locked or left to panic
    /// here. After a failure the process is neither here nor there and can only end.
    ///
    /// # Errors
    ///
    /// The step that failed.
    pub fn set(&self) -> Result<Scenery, Failure> {
        // Modes are given in full until the command gets the mask that docker gives it.
        syscall::set_umask(0);
        syscall::start_session().at(Step::Session)?;
        syscall::join_new_keyring().at(Step::Keyring)?;
        signals::reset().at(Step::Signals)?;
        // Before anything is mounted: nothing of it may reach another mount namespace.
        syscall::make_all_mounts_private().at(Step::PrivateMounts)?;
        let stage = syscall::open_directory(&self.directory).at(Step::Stage)?;
        Site::new(stage.as_fd()).apply_all(&self.actions)?;
        let [proc, sys, dev] = plan::TOP_LEVEL;
        let mount = |filesystem: &Filesystem| {
            lookup::without_links(stage.as_fd(), filesystem.name, libc::O_DIRECTORY)
                .at(filesystem.step)
        };
        let mounts = [mount(proc)?, mount(sys)?, mount(dev)?];
        Ok(Scenery { stage, mounts })
    }
}

/// Brings the loopback interface of the caller's network namespace up. Makes system calls and
/// nothing else.
///
/// # Errors
///
/// With [`Step::Loopback`].
pub fn bring_loopback_up() -> Result<(), Failure> {
    syscall::bring_interface_up(c"lo").at(Step::Loopback)
}
