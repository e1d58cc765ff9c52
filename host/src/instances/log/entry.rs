use std::borrow::Cow;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line, or a part of a long one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// What was said, with the end of the line if it has one. Bytes that are not UTF-8 are
    /// U+FFFD, as in docker.
    pub log: Cow<'a, str>,
    /// Where.
    pub stream: Stream,
    /// When it was read, as RFC 3339 has it, with nanoseconds, in UTC.
    pub time: Cow<'a, str>,
}

/// A moment as entries have it.
pub(super) fn time_of(moment: SystemTime) -> String {
    humantime::format_rfc3339_nanos(moment).to_string()
}

impl Entry<'_> {
    /// When, if that is a time.
    pub fn moment(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.time).ok()
    }
}
