use std::time::Duration;

use serde::Deserialize;

/// A stretch of time, as it is typed: "90s", "5m".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TypedDuration(pub Duration);

impl TypedDuration {
    /// As many; at most those that fit.
    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// It is not written as one is.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no stretch of time, as \"90s\" or \"1m 30s\" is")]
pub struct InvalidDuration(String);

impl TryFrom<String> for TypedDuration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        match humantime::parse_duration(&text) {
            Ok(duration) => Ok(Self(duration)),
            Err(_) => Err(InvalidDuration(text)),
        }
    }
}
