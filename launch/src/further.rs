use crate::{Command, WindowSize};

/// A further command in an instance that runs: in its root, with its limits and rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Further {
    /// The command. Its working directory has to be there.
    pub command: Command,
    /// The size of the terminal that it has in place of three streams; see
    /// [`crate::Workload::terminal`].
    pub terminal: Option<WindowSize>,
}
