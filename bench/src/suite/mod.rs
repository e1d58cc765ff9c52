//! Suites: which workloads are measured, as a user writes them down in TOML.

use std::collections::HashSet;

use serde::Deserialize;

use crate::toml_text::{self, TomlError};
use crate::typed_duration::TypedDuration;

/// The suite that is built in.
const BUILT_IN: &str = include_str!("built_in.toml");

/// What is measured, in order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The workloads.
    pub workload: Vec<SuiteWorkload>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteWorkload {
    /// What it is called in the report.
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub about: String,
    /// The image that it runs in.
    pub image: String,
    /// The command; the image's own if there is none.
    #[serde(default)]
    pub command: Vec<String>,
    /// Flags of `jaula compare`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// How many timed runs of each way.
    pub runs: Option<usize>,
    /// For how long ("90s").
    pub budget: Option<TypedDuration>,
    /// Whether it takes part in a quick run.
    #[serde(default)]
    pub quick: bool,
}

/// What a user wrote is no suite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// It can't be read.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// It is to be the name of a file, too.
    #[error("{0:?} can't be a workload's name: it may have letters, digits, - and _")]
    Name(String),
    /// A report could not tell two workloads apart.
    #[error("there are two workloads named {0:?}")]
    Twice(String),
    /// There is nothing to be measured.
    #[error("there is no workload")]
    Empty,
}

impl Suite {
    /// The one that is built in.
    ///
    /// # Errors
    ///
    /// Never, which a test says.
    pub fn built_in() -> Result<Self, SuiteError> {
        Self::parse(BUILT_IN)
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it is none, and where.
    pub fn parse(text: &str) -> Result<Self, SuiteError> {
        let suite: Self = toml_text::parse(text)?;
        let mut names = HashSet::new();
        for workload in &suite.workload {
            let name = &workload.name;
            let is_good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || !name.chars().all(is_good) {
                return Err(SuiteError::Name(name.clone()));
            }
            if !names.insert(&workload.name) {
                return Err(SuiteError::Twice(workload.name.clone()));
            }
        }
        match suite.workload.is_empty() {
            true => Err(SuiteError::Empty),
            false => Ok(suite),
        }
    }

    /// Those of a quick run.
    pub fn quick(mut self) -> Self {
        self.workload.retain(|workload| workload.quick);
        self
    }
}

impl SuiteWorkload {
    /// What would be typed after `jaula compare`. Its own flags come last, and so decide.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(runs) = self.runs {
            words.push(format!("--runs={runs}"));
        }
        if let Some(TypedDuration(budget)) = self.budget {
            words.push(
                format!("--budget-time={}", humantime::format_duration(budget)).replace(' ', ""),
            );
        }
        words.extend(self.flags.iter().cloned());
        words.push(self.image.clone());
        words.extend(self.command.iter().cloned());
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_a_suite_with_a_quick_part() {
        let suite = Suite::built_in().unwrap();
        assert!(suite.workload.iter().all(|it| !it.about.is_empty()));
        let quick = suite.clone().quick();
        assert!(!quick.workload.is_empty());
        assert!(quick.workload.len() < suite.workload.len());
    }

    #[test]
    fn a_workload_becomes_a_command_line() {
        let suite = Suite::parse(
            r#"
            [[workload]]
            name = "x"
            image = "busybox"
            command = ["echo", "a b"]
            flags = ["-m", "64m"]
            runs = 5
            budget = "1m 30s"
            "#,
        );
        assert_eq!(
            suite.unwrap().workload[0].words(),
            [
                "--runs=5",
                "--budget-time=1m30s",
                "-m",
                "64m",
                "busybox",
                "echo",
                "a b"
            ]
        );
    }

    #[test]
    fn what_is_no_suite_is_refused_with_its_line() {
        let workload = "[[workload]]\nname = \"x\"\nimage = \"busybox\"\n";
        for (text, expected) in [
            ("", "line 1: missing field `workload`"),
            (
                &workload.replace("\"x\"", "\"../x\""),
                "\"../x\" can't be a workload's name: ",
            ),
            ("workload = []", "there is no workload"),
            (&workload.repeat(2), "there are two workloads named \"x\""),
            (
                &format!("{workload}speed = 1\n"),
                "line 4: unknown field `speed`",
            ),
            (&format!("{workload}budget = \"soon\"\n"), "line 4: "),
            (&format!("{workload}runs = -1\n"), "line 4: "),
            ("[[workload]\n", "line 1: "),
        ] {
            let error = Suite::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
