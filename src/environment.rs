//! The command's environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParserFactory};

use crate::notation::{EnvFile, EnvFileError};

/// docker's, which an image may replace.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a terminal is taken for, as docker does.
pub const DEFAULT_TERM: &str = "xterm";

/// What `--env-file` and then `-e` say.
pub fn given(files: &[PathBuf], typed: &[Variable]) -> Result<Vec<Variable>, EnvFileError> {
    let mut variables = Vec::new();
    for path in files {
        variables.extend(EnvFile::read(path)?.0);
    }
    variables.extend_from_slice(typed);
    Ok(variables)
}

/// What `-e` says of one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// It has this value.
    Set(OsString, OsString),
    /// It has the value it has here, and is not set if it is not set here.
    Inherit(OsString),
}

/// A variable without a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a variable needs a name, as in NAME=value")]
pub struct NoName;

impl TryFrom<OsString> for Variable {
    type Error = NoName;

    fn try_from(given: OsString) -> Result<Self, NoName> {
        let bytes = given.as_bytes();
        let name_length = bytes.iter().position(|byte| *byte == b'=');
        match name_length {
            Some(0) => Err(NoName),
            None if bytes.is_empty() => Err(NoName),
            None => Ok(Self::Inherit(given)),
            Some(length) => Ok(Self::Set(
                OsStr::from_bytes(&bytes[..length]).to_owned(),
                OsStr::from_bytes(&bytes[length + 1..]).to_owned(),
            )),
        }
    }
}

impl ValueParserFactory for Variable {
    type Parser =
        clap::builder::TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<Self, NoName>>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().try_map(Self::try_from)
    }
}

/// Variables in the order in which they were first set, each once.
#[derive(Debug, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// That of `NAME=value` strings. What is none of these is left out.
    pub fn of<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut environment = Self::default();
        for string in strings {
            let given = OsStr::from_bytes(string).to_owned();
            if let Ok(variable @ Variable::Set(..)) = Variable::try_from(given) {
                environment.apply(&variable);
            }
        }
        environment
    }

    /// Sets a variable that is not set.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|(known, _)| known == name) {
            self.set(name, value);
        }
    }

    /// Sets a variable, whatever it was before.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Does what `-e` says.
    pub fn apply(&mut self, variable: &Variable) {
        match variable {
            Variable::Set(name, value) => self.set(name, value),
            Variable::Inherit(name) => match std::env::var_os(name) {
                Some(value) => self.set(name, value),
                None => self.0.retain(|(known, _)| known != name),
            },
        }
    }

    /// `NAME=value` strings.
    pub fn into_strings(self) -> Vec<Vec<u8>> {
        self.0
            .into_iter()
            .map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(given: &str) -> Result<Variable, NoName> {
        OsString::from(given).try_into()
    }

    #[test]
    fn a_variable_has_a_name_and_perhaps_a_value() {
        for (given, expected) in [
            ("A=b", Ok(Variable::Set("A".into(), "b".into()))),
            ("A=b=c", Ok(Variable::Set("A".into(), "b=c".into()))),
            ("A=", Ok(Variable::Set("A".into(), "".into()))),
            ("A", Ok(Variable::Inherit("A".into()))),
            ("=b", Err(NoName)),
            ("", Err(NoName)),
        ] {
            assert_eq!(variable(given), expected, "{given:?}");
        }
    }

    #[test]
    fn a_later_value_takes_the_place_of_an_earlier_one() {
        let mut environment = Environment::default();
        environment.set("A", "1");
        environment.set("B", "2");
        environment.apply(&variable("A=3").unwrap());
        assert_eq!(
            environment.into_strings(),
            [b"A=3".to_vec(), b"B=2".to_vec()]
        );
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let recorded = [&b"A=1"[..], b"B=x=y", b"none", b"=z", b"A=2"];
        let mut environment = Environment::of(recorded);
        environment.set_default("A", "3");
        environment.set_default("C", "4");
        assert_eq!(
            environment.into_strings(),
            [b"A=2".to_vec(), b"B=x=y".to_vec(), b"C=4".to_vec()]
        );
    }

    #[test]
    fn an_inherited_variable_has_the_callers_value_or_is_not_set() {
        let mut environment = Environment::default();
        environment.set("JAULA_SURELY_NOT_SET", "1");
        environment.apply(&variable("JAULA_SURELY_NOT_SET").unwrap());
        environment.apply(&variable("CARGO_PKG_NAME").unwrap());
        assert_eq!(environment.into_strings(), [b"CARGO_PKG_NAME=jaula"]);
    }
}
