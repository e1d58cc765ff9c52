//! What a detached instance said, as docker's `json-file` keeps it: a line of JSON for each of
//! its own, with the stream it came from and the time.
//!
//! The run directory is memory, so there are two files at most, of [`MAX_FILE_BYTES`] each: when
//! `log` is full it becomes `log.1`, in place of the one before.

mod entry;
mod lines;
mod reader;
mod writer;

pub use entry::{Entry, Stream};
pub use lines::Lines;
pub use reader::LogReader;
pub use writer::LogWriter;

/// What a file of the log may hold.
pub const MAX_FILE_BYTES: u64 = 10 << 20;
