use std::fmt;

use launch::MonotonicNs;
use nix::errno::Errno;

/// A system call, or several that are the same, one directly after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The task that made it, as the watcher's PID namespace numbers it.
    pub task: i32,
    /// Its name; "?" for one that this program does not know.
    pub name: &'static str,
    /// Its arguments as they would stand in a program.
    pub arguments: String,
    /// What it returned; `None` if it did not return.
    pub result: Option<Result<i64, Errno>>,
    /// When the first one was entered.
    pub entered: MonotonicNs,
    /// How long they took together, with what watching them takes.
    pub duration_ns: u64,
    /// How many they are.
    pub times: u32,
}

impl Call {
    /// Takes `next` in if it is the same again.
    pub(crate) fn absorb(&mut self, next: &Self) -> bool {
        let is_same = self.task == next.task
            && self.name == next.name
            && self.arguments == next.arguments
            && self.result.is_some_and(|it| it.is_ok())
            && next.result.is_some_and(|it| it.is_ok());
        if is_same {
            self.duration_ns += next.duration_ns;
            self.times = self.times.saturating_add(next.times);
        }
        is_same
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments)?;
        match self.result {
            Some(Err(errno)) => write!(f, " = {errno:?}")?,
            // What most return says nothing.
            Some(Ok(0)) | None => {}
            Some(Ok(value)) => write!(f, " = {value}")?,
        }
        match self.times {
            1 => Ok(()),
            times => write!(f, ", {times} times"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(result: Result<i64, Errno>) -> Call {
        Call {
            task: 1,
            name: "close",
            arguments: "3".into(),
            result: Some(result),
            entered: MonotonicNs(5),
            duration_ns: 10,
            times: 1,
        }
    }

    #[test]
    fn the_same_again_is_counted() {
        let mut first = call(Ok(0));
        assert!(first.absorb(&call(Ok(0))));
        assert!(first.absorb(&call(Ok(0))));
        assert_eq!((first.times, first.duration_ns), (3, 30));
        assert_eq!(first.entered, MonotonicNs(5));
        assert_eq!(first.to_string(), "close(3), 3 times");
    }

    #[test]
    fn what_differs_is_not_taken_in() {
        let mut first = call(Ok(0));
        assert!(!first.absorb(&call(Err(Errno::EBADF))));
        let other = Call {
            arguments: "4".into(),
            ..call(Ok(0))
        };
        assert!(!first.absorb(&other));
        assert_eq!(first, call(Ok(0)));
    }

    #[test]
    fn a_failure_is_said_by_its_name() {
        assert_eq!(call(Err(Errno::EBADF)).to_string(), "close(3) = EBADF");
    }
}
