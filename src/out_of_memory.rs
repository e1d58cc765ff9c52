//! What is said of a command that did not end well, in an instance that ran out of memory.

use launch::{Chain, ExitStatus, MemoryLimit, Running};

/// Whether the kernel killed a process of a command that ended with `status`, for want of memory.
/// That it ended well is all there is to be said.
pub fn has_killed<R: Running + ?Sized>(command: &R, status: ExitStatus) -> bool {
    status != ExitStatus::Exited(0)
        && command.out_of_memory().unwrap_or_else(|error| {
            // How the command ended is known all the same.
            tracing::warn!("whether memory ran out is not known: {}", Chain(&error));
            false
        })
}

/// The exit code alone does not tell this end from that of `kill -9`.
#[derive(Debug, thiserror::Error)]
#[error("{} was killed for lack of memory: {}", who(*.status), whose(*.limit))]
pub struct OutOfMemory {
    status: ExitStatus,
    limit: Option<MemoryLimit>,
}

impl OutOfMemory {
    /// To be told to the user, unless the command got over it.
    pub fn from(status: ExitStatus, limit: Option<MemoryLimit>) -> Option<Self> {
        (status != ExitStatus::Exited(0)).then_some(Self { status, limit })
    }
}

fn who(status: ExitStatus) -> &'static str {
    const SIGKILL: u8 = 9;
    match status {
        ExitStatus::Signaled(SIGKILL) => "the command",
        _ => "a process of the command",
    }
}

fn whose(limit: Option<MemoryLimit>) -> String {
    limit.map_or_else(
        || "the host ran out of it".to_owned(),
        |limit| format!("its limit is {limit}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_who_was_killed_and_what_ran_out() {
        let limit = Some(MemoryLimit::from_mib(64));
        for (status, limit, expected) in [
            (
                ExitStatus::Signaled(9),
                limit,
                Some("the command was killed for lack of memory: its limit is 64 MiB"),
            ),
            (
                ExitStatus::Exited(137),
                limit,
                Some("a process of the command was killed for lack of memory: its limit is 64 MiB"),
            ),
            (
                ExitStatus::Signaled(9),
                None,
                Some("the command was killed for lack of memory: the host ran out of it"),
            ),
            (ExitStatus::Exited(0), limit, None),
        ] {
            let said = OutOfMemory::from(status, limit).map(|said| said.to_string());
            assert_eq!(said.as_deref(), expected);
        }
    }
}
