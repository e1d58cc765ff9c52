//! How jaula says what went wrong: one line on standard error.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::iter::successors;

use bench::visible;
use launch::{Chain, ExitStatus};

use crate::interruption::Interrupted;

/// Why jaula did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be done, or it failed.
    #[error(transparent)]
    Failed(#[from] launch::Error),
    /// The user called it off.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// It can't be done with the instance that was named.
    #[error(transparent)]
    NotDone(launch::Error),
}

impl Error {
    /// What jaula exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => ExitStatus::LAUNCHER_FAILED,
            Self::Interrupted(interrupted) => interrupted.exit_code(),
            // docker's.
            Self::NotDone(_) => 1,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Prints `jaula: `, the error with its causes, and what can be done about it.
pub fn print(error: &(dyn StdError + 'static)) {
    // Nobody is left to tell when standard error itself is broken.
    let _ = writeln!(io::stderr(), "jaula: {}", one_line(error));
}

/// The same without the program's name.
pub fn one_line(error: &(dyn StdError + 'static)) -> String {
    let mut line = Chain(error).to_string();
    // The outermost remedy knows best what the user was about to do.
    let remedy = successors(Some(error), |&error| error.source()).find_map(remedy_of);
    if let Some(remedy) = remedy {
        line.push_str("; ");
        line.push_str(remedy);
    }
    // Names in images and answers of registries are anybody's.
    visible(&line.replace('\n', " "))
}

fn remedy_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a str> {
    // These stand for what they hold, also when sources are walked.
    let failed = match error.downcast_ref::<Error>() {
        Some(Error::Failed(failed) | Error::NotDone(failed)) => Some(failed),
        _ => error.downcast_ref::<launch::Error>(),
    };
    failed.and_then(launch::Error::remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] launch::Error);

    #[test]
    fn the_causes_follow_the_error_and_the_remedy_comes_last() {
        let inner = launch::Error::new("no\nkernel").with_remedy("build one");
        assert_eq!(one_line(&Outer(inner)), "outer: no kernel; build one");
    }

    #[test]
    fn the_outermost_remedy_is_given() {
        let inner = launch::Error::new("inner").with_remedy("do this");
        let outer = launch::Error::new(Outer(inner)).with_remedy("do that");
        assert_eq!(one_line(&outer), "outer: inner; do that");
    }
}
