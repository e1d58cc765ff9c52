use std::convert::Infallible;
use std::ffi::CString;
use std::path::Path;

use launch::{Command, Hostname, Security, Ulimit};

use crate::failure::{At, Failure, Step};
use crate::filter::Filter;
use crate::given_devices::{DeviceNode, GivenDevices};
use crate::init::Init;
use crate::last_steps::LastSteps;
use crate::mounts::Mounts;
use crate::name_files::NameFiles;
use crate::path::{InvalidPath, MAX_LAYERS, c_path};
use crate::privileges::Privileges;
use crate::rootfs::{Layers, Root};
use crate::scenery::Scenery;
use crate::streams;
use crate::syscall;
use crate::ties::Ties;

/// What is to be entered. Paths are where the caller is.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    /// The directories that hold the image; nothing is written to them.
    pub lower: &'a launch::Layers,
    /// An empty directory that takes what is written to the root, whose owner and mode become those of
    /// the root. It is best on a tmpfs: when an overlay goes, all of the file system that its
    /// upper directory is on is written back.
    pub upper: &'a Path,
    /// An empty directory on the same file system as `upper`, for the overlay's own use.
    pub work: &'a Path,
    /// Whether the command may not write to the root.
    pub read_only: bool,
    /// The hostname.
    pub hostname: &'a Hostname,
    /// What names are looked up in.
    pub files: &'a NameFiles,
    /// What is mounted in the root, in this order.
    pub mounts: &'a [launch::Mount],
    /// Devices of the host's that are put into it.
    pub devices: &'a [DeviceNode],
    /// The command.
    pub command: &'a Command,
    /// The program that is executed in its place, with the command in its arguments, and executes
    /// it: see [`INIT_NAME`](crate::INIT_NAME).
    pub init: Option<&'a Path>,
    /// Limits of its processes.
    pub ulimits: &'a [Ulimit],
    /// What the command may do.
    pub security: &'a Security,
    /// What decides about its system calls; `None` if nothing does. Made from `security.seccomp`,
    /// which is not looked at here.
    pub filter: Option<&'a Filter>,
    /// What the caller may do.
    pub privileges: Privileges,
}

/// A moment on the way to the command that is worth a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The root file system is in place, with all that is mounted in it.
    Root,
    /// The doorbell: the next system call is the command's `execve`.
    Main,
}

/// All that is needed to become the command, made while memory can still be had.
pub struct Entry {
    root: Root,
    hostname: CString,
    init: Option<Init>,
    last_steps: LastSteps,
}

impl Entry {
    /// Prepares everything: [`Entry::run`] will only make system calls.
    ///
    /// # Errors
    ///
    /// When one of the paths can't be given to a system call, or there are too many layers.
    pub fn new(spec: &Spec<'_>) -> Result<Self, InvalidPath> {
        let last_steps = LastSteps::new(
            spec.command,
            spec.ulimits,
            spec.security,
            spec.filter,
            spec.privileges,
        );
        Ok(Self {
            root: Root {
                layers: Layers {
                    lower: lower(spec.lower)?,
                    upper: c_path(spec.upper)?,
                    work: c_path(spec.work)?,
                    user_xattr: spec.privileges != Privileges::Root,
                    keep_owners: spec.privileges.has_many_ids(),
                },
                names: spec.files.clone(),
                mounts: Mounts::new(spec.mounts)?,
                devices: GivenDevices::new(spec.devices, spec.privileges.into())?,
                working_directory: last_steps.working_directory().clone(),
                read_only: spec.read_only,
            },
            hostname: spec.hostname.as_c_str().to_owned(),
            init: match spec.init {
                Some(path) => Some(Init::new(path, spec.command)?),
                None => None,
            },
            last_steps,
        })
    }

    /// Opens the files of the caller's that are to be seen in the root or executed, if there are
    /// any. To be
    /// called in a mount namespace that is the command's, before anything is mounted there that
    /// the command is not to see. Makes system calls and nothing else.
    ///
    /// # Errors
    ///
    /// [`Step::MountSource`], [`Step::Device`] or [`Step::Init`].
    pub fn open_outside(&self) -> Result<(), Failure> {
        if let Some(init) = &self.init {
            init.open().at(Step::Init)?;
        }
        self.root.open_outside()
    }

    /// Becomes the command; returns only if that fails.
    ///
    /// The caller is the process that set the stage, and what is said there of
    /// [the first half](crate::Stage::set) goes for this one too.
    ///
    /// `ring` is called at each [`Mark`], and keeps the rules above.
    pub fn run(&self, scenery: Scenery, ties: &Ties<'_>, ring: impl Fn(Mark)) -> Failure {
        match self.become_command(scenery, ties, ring) {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    fn become_command(
        &self,
        scenery: Scenery,
        ties: &Ties<'_>,
        ring: impl Fn(Mark),
    ) -> Result<Infallible, Failure> {
        let terminal = match &ties.terminal {
            Some(terminal) => Some(terminal.open_on_stage(&scenery)?),
            None => None,
        };
        self.root.enter(&scenery)?;
        let streams = streams::with_null_of(scenery.dev(), ties.streams);
        let ties = Ties {
            streams: streams.at(Step::Descriptors)?,
            ..*ties
        };
        // Before all other descriptors are closed.
        drop(scenery);
        ring(Mark::Root);
        syscall::set_hostname(&self.hostname).at(Step::Hostname)?;
        let init = self.init.as_ref();
        self.last_steps
            .take(&ties, terminal, init, || ring(Mark::Main))
    }
}

fn lower(layers: &launch::Layers) -> Result<Vec<CString>, InvalidPath> {
    let paths = layers.iter().map(c_path).collect::<Result<Vec<_>, _>>()?;
    if paths.len() > MAX_LAYERS {
        return Err(InvalidPath::TooManyLayers(paths.len()));
    }
    Ok(paths)
}
