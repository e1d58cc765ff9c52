use std::io;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A word of the command line means nothing.
    #[error("there is no job {word:?}: there are {words}")]
    NotAJob {
        /// It.
        word: String,
        /// Those that mean something.
        words: &'static str,
    },
    /// The kernel refused something.
    #[error("{what}: {source}")]
    Call {
        /// What was asked of it.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl Failure {
    /// Of an error of either library's.
    pub(crate) fn of<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Call {
            what,
            source: source.into(),
        }
    }
}
