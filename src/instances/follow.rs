//! Waits for more from an instance.

use std::time::Duration;

use host::instances::{Found, Waiting};

use super::Failure;
use super::stop::waiting;

/// How often it is looked for more: a person does not notice it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits for more from an instance, until it has ended.
pub struct Follower {
    name: String,
    waiting: Option<Waiting>,
}

impl Follower {
    pub fn of(found: &Found) -> Result<Self, Failure> {
        Ok(Self {
            name: found.record.name.clone(),
            waiting: waiting(found)?,
        })
    }

    /// Waits for a moment, or for its end; `false` if that has come.
    pub fn pause(&mut self) -> Result<bool, Failure> {
        let Some(waiting) = &self.waiting else {
            return Ok(false);
        };
        let ended = waiting.ends_within(LOOK_EVERY);
        ended.map(|ended| !ended).map_err(|source| Failure::Io {
            name: self.name.clone(),
            what: "followed",
            source,
        })
    }
}
