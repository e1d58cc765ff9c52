//! What it means that a guest's processor has stopped while it was still needed.

use std::fmt;

use crate::ending::Ending;
use crate::last_words::LastWords;
use crate::vcpu::{Registers, Stop, StopError};

/// The guest ended before it was done.
#[derive(Debug, thiserror::Error)]
pub enum GuestEnd {
    /// Its kernel gave up.
    #[error("the guest kernel panicked: {reason}{said}")]
    Panic {
        /// The reason, in the kernel's words.
        reason: String,
        /// What it said before.
        said: Said,
    },
    /// It rebooted.
    #[error("the guest rebooted before the command had ended{0}")]
    Reboot(Said),
    /// It switched itself off.
    #[error("the guest switched itself off before the command had ended{0}")]
    PowerOff(Said),
    /// Its kernel could not even handle its own fault.
    #[error("the guest crashed (triple fault){0}; {1}")]
    TripleFault(Said, Box<Registers>),
    /// Its processor sleeps for good.
    #[error("the guest sleeps and nothing can wake it{0}")]
    Halted(Said),
    /// KVM or the processor won't go on.
    #[error("the guest can't go on{0}")]
    Run(Said, #[source] StopError),
}

impl GuestEnd {
    /// Why the processor stopped, in view of what the guest said.
    pub(crate) fn of(stopped: Result<Stop, StopError>, words: &LastWords) -> Self {
        let said = Said(words.last());
        // A panic ends in a reboot, and that may end in an instruction that can't be emulated.
        if let Some(reason) = words.panic() {
            return Self::Panic { reason, said };
        }
        match stopped {
            Ok(Stop::Ended(Ending::Reset)) => Self::Reboot(said),
            Ok(Stop::Ended(Ending::PowerOff)) => Self::PowerOff(said),
            Ok(Stop::TripleFault(registers)) => Self::TripleFault(said, Box::new(registers)),
            Ok(Stop::Halted | Stop::Kicked) => Self::Halted(said),
            Err(cause) => Self::Run(said, cause),
        }
    }
}

/// What a guest said last, for the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said(pub(crate) Option<String>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(line) => write!(f, ", after it said {line:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(lines: &[&str]) -> LastWords {
        let words = LastWords::default();
        for line in lines {
            words.hear(line);
        }
        words
    }

    #[test]
    fn a_panic_explains_whatever_follows() {
        let words = words(&["no disk", "Kernel panic - not syncing: no root"]);
        for stopped in [Stop::Ended(Ending::Reset), Stop::Halted] {
            assert_eq!(
                GuestEnd::of(Ok(stopped), &words).to_string(),
                "the guest kernel panicked: no root, after it said \"no disk\""
            );
        }
    }

    #[test]
    fn without_a_panic_the_stop_explains() {
        for (lines, stopped, text) in [
            (
                &[][..],
                Stop::Ended(Ending::Reset),
                "the guest rebooted before the command had ended",
            ),
            (
                &["bye"],
                Stop::Halted,
                "the guest sleeps and nothing can wake it, after it said \"bye\"",
            ),
        ] {
            assert_eq!(GuestEnd::of(Ok(stopped), &words(lines)).to_string(), text);
        }
    }
}
