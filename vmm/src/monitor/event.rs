use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;

use guest_protocol::{FrameError, Mark, SessionNumber, ToHost};
use launch::WindowSize;

use super::exec::OpenRequest;
use super::message::Reason;
use crate::jail::FilterError;
use crate::snapshot::DraftFiles;
use crate::vcpu::{Stop, StopError};

/// What happens while a machine runs.
pub(super) enum Event {
    /// The launcher has a signal for the command.
    Signal(u8),
    /// The command's terminal has another size.
    Resize(WindowSize),
    /// The terminal that the command's input comes from was hung up.
    HungUp,
    /// The launcher is no more.
    LauncherGone,
    /// Somebody has connected who wants something.
    Asked(OwnedFd),
    /// Somebody wants the machine saved.
    Save(SaveRequest),
    /// Somebody wants a further command run.
    OpenSession(OpenRequest),
    /// Nothing of a session is left.
    SessionOver(SessionNumber),
    /// Somebody is about to change the file that guest memory is mapped from.
    MemoryChanging,
    /// The guest has got so far.
    Reached(Mark),
    /// The control connection is done.
    Answer(Result<Option<ToHost>, FrameError>),
    /// An output of the command was written to its end.
    OutputDone,
    /// The vCPU stopped.
    Stopped(Result<Stop, StopError>),
    /// A thread has no filter, and does nothing.
    NotContained(FilterError),
    /// The devices are not served any more.
    DevicesFailed(event_manager::Error),
}

/// A request that somebody waits for.
pub(super) struct SaveRequest {
    pub(super) into: DraftFiles,
    /// Takes what came of it: the descriptor of the disk image, or why not.
    pub(super) done: Sender<Result<OwnedFd, Reason>>,
}
