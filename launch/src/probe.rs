use serde::{Deserialize, Serialize};

/// How a [`Finding`] bears on a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Works as it should.
    Good,
    /// Works, but less than it could, or in a way that must be known when figures are read.
    Note,
    /// Does not work: this side can't launch.
    Missing,
}

/// One thing that a [`crate::Launcher`] looked at on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, in a word or two ("cgroup").
    pub subject: String,
    /// How it bears on a launch.
    pub level: Level,
    /// What was found.
    pub detail: String,
    /// What the user can do about it, an imperative phrase.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that works as it should.
    pub fn good(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            level: Level::Good,
            detail: detail.into(),
            remedy: None,
        }
    }

    /// Something to know about.
    pub fn note(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::good(subject, detail)
        }
    }

    /// Something that keeps this side from launching, and what to do about it.
    pub fn missing(
        subject: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Missing,
            ..Self::good(subject, detail)
        }
        .with_remedy(remedy)
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
