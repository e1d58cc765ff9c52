use guest_protocol::{FrameError, Mark, ToHost};

use crate::vcpu::{Stop, StopError};

/// What happens while a machine runs.
pub(super) enum Event {
    /// The launcher has a signal for the command.
    Signal(u8),
    /// The launcher is no more.
    LauncherGone,
    /// The guest has got so far.
    Reached(Mark),
    /// The control connection is done.
    Answer(Result<Option<ToHost>, FrameError>),
    /// An output of the command was written to its end.
    OutputDone,
    /// The vCPU stopped.
    Stopped(Result<Stop, StopError>),
    /// The devices are not served any more.
    DevicesFailed(event_manager::Error),
}
