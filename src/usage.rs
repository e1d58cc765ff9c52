//! What the command line's parser says, in our own form.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Error};

use crate::args::Cli;

/// Whether the parser ended because it was asked to print something, not because it refused.
pub fn is_answer(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    )
}

/// What was typed makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{said}; see {subcommand} --help")]
pub struct Refused {
    said: String,
    subcommand: String,
}

impl Refused {
    /// By the parser, of this line with the program's name first.
    pub fn new(error: &Error, line: &[OsString]) -> Self {
        Self {
            said: one_line(error),
            subcommand: subcommand(&Cli::command(), line),
        }
    }
}

/// The words of the line that lead to what has a help text of its own.
fn subcommand(program: &Command, line: &[OsString]) -> String {
    let mut command = program;
    let mut words = vec![program.get_name()];
    for word in line.iter().skip(1) {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            None => break,
        }
        words.push(command.get_name());
    }
    words.join(" ")
}

/// What was refused, in one line without the usage.
fn one_line(error: &Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no subcommand given".into();
    }
    let text = error.render().to_string();
    let said: Vec<_> = text
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| {
            !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
        })
        .map(|paragraph| {
            let words: Vec<_> = paragraph.split_whitespace().collect();
            words.join(" ")
        })
        .collect();
    let said = said.join("; ");
    said.strip_prefix("error: ").unwrap_or(&said).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_refusal_is_one_line_that_names_the_thing() {
        for (line, expected) in [
            (&["jaula"][..], "no subcommand given"),
            (
                &["jaula", "run", "--frobnicate", "busybox"],
                "unexpected argument '--frobnicate' found",
            ),
            (
                &["jaula", "run", "-m", "0", "busybox"],
                "invalid value '0' for '--memory <SIZE>': memory \"0\": the smallest limit is 6m",
            ),
            (
                &["jaula", "compare", "--budget-time", "soon", "busybox"],
                "invalid value 'soon' for '--budget-time <TIME>': \"soon\" is no stretch of time, as \"90s\" or \"1m 30s\" is",
            ),
            (
                &["jaula", "run", "--as", "jail", "busybox"],
                "invalid value 'jail' for '--as <SIDE>' [possible values: container, vm]",
            ),
        ] {
            let error = Cli::try_parse_from(line).unwrap_err();
            let said = one_line(&error);
            assert!(said.starts_with(expected), "{line:?}: {said}");
            assert!(!said.contains('\n'), "{line:?}: {said}");
        }
    }

    #[test]
    fn a_refusal_names_the_help_text_that_says_more() {
        for (line, expected) in [
            (&["jaula"][..], "jaula"),
            (&["jaula", "--frobnicate"], "jaula"),
            (&["jaula", "build"], "jaula"),
            (&["jaula", "run", "-m", "0", "busybox"], "jaula run"),
            (&["jaula", "snapshot", "rm"], "jaula snapshot rm"),
        ] {
            let error = Cli::try_parse_from(line).unwrap_err();
            let line: Vec<_> = line.iter().map(OsString::from).collect();
            let refused = Refused::new(&error, &line).to_string();
            assert!(
                refused.ends_with(&format!("; see {expected} --help")),
                "{refused}"
            );
        }
    }
}
