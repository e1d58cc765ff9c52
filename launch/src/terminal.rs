use serde::{Deserialize, Serialize};

/// The size of a terminal, `TIOCSWINSZ` of `ioctl_tty(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}
