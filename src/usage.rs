//! What the command line's parser says, in our own form.

use clap::Error;
use clap::error::ErrorKind;

/// Whether the parser ended because it was asked to print something, not because it refused.
pub fn is_answer(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    )
}

/// What was typed makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see jaula --help")]
pub struct Refused(String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(one_line(&error))
    }
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
    use crate::args::Cli;

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
}
