//! Suites: which workloads are measured, as a user writes them down in TOML.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::toml_text::{self, TomlError};
use crate::typed_duration::TypedDuration;

/// The suite that is built in.
const BUILT_IN: &str = include_str!("built_in.toml");

/// How long a workload's name may be: a file with it and an ending has to have room for more.
const LONGEST_NAME: usize = 64;

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
    pub image: Option<String>,
    /// The directory that it runs in, in place of an image.
    pub rootfs: Option<String>,
    /// The command; the image's own if there is none.
    #[serde(default)]
    pub command: Vec<String>,
    /// Flags of `jaula compare`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// How many timed runs of each way.
    #[serde(default, deserialize_with = "count")]
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
    #[error("{0:?} can't be a workload's name: it may have up to 64 letters, digits, - and _")]
    Name(String),
    /// It has nothing to run in, or two of it.
    #[error("workload {0:?} has to have an image or a rootfs, and not both")]
    Root(String),
    /// A report could not tell two workloads apart.
    #[error("there are two workloads named {0:?}")]
    Twice(String),
    /// There is nothing to be measured.
    #[error("there is no workload")]
    Empty,
}

/// A number of runs. A key that is left out does not come here.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    struct Count;
    impl Visitor<'_> for Count {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number from 0 on")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<usize, E> {
            usize::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }
    }
    from.deserialize_i64(Count).map(Some)
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
            if !(1..=LONGEST_NAME).contains(&name.len()) || !name.chars().all(is_good) {
                return Err(SuiteError::Name(name.clone()));
            }
            if workload.image.is_some() == workload.rootfs.is_some() {
                return Err(SuiteError::Root(name.clone()));
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
        words.extend(self.rootfs.iter().map(|it| format!("--rootfs={it}")));
        words.extend(self.behind_the_flags().cloned());
        words
    }

    /// Those of them that are no flags.
    pub fn behind_the_flags(&self) -> impl Iterator<Item = &String> {
        self.image.iter().chain(&self.command)
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
    fn a_directory_is_run_in_as_well() {
        let text = "[[workload]]\nname = \"x\"\nrootfs = \"./debian\"\ncommand = [\"true\"]\n";
        let suite = Suite::parse(text).unwrap();
        assert_eq!(suite.workload[0].words(), ["--rootfs=./debian", "true"]);
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
            (
                &workload.replace("\"x\"", &format!("{:?}", "x".repeat(65))),
                "\"xxx",
            ),
            (
                &format!("{workload}budget = \"-5s\"\n"),
                "line 4: \"-5s\" is no stretch of time, as \"90s\" or \"1m 30s\" is",
            ),
            (
                &format!("{workload}runs = -1\n"),
                "line 4: invalid value: integer `-1`, expected a whole number from 0 on",
            ),
            (
                &format!("{workload}runs = 1.5\n"),
                "line 4: invalid type: floating point `1.5`, expected a whole number from 0 on",
            ),
            ("[[workload]\n", "line 1: "),
            (
                &workload.replace("image = \"busybox\"\n", ""),
                "workload \"x\" has to have an image or a rootfs",
            ),
            (
                &format!("{workload}rootfs = \"/x\"\n"),
                "workload \"x\" has to have an image or a rootfs",
            ),
        ] {
            let error = Suite::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
