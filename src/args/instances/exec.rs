//! `jaula exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use guest_images::UserSpec;

use crate::environment::Variable;

pub(in crate::args) const USAGE: &str = "jaula exec [OPTIONS] INSTANCE COMMAND [ARG]...";

pub(in crate::args) const EXAMPLES: &str = "\
Examples:
  jaula exec web ps
  jaula exec -it web sh
  echo hello | jaula exec -i web tee /tmp/hello
  jaula exec -u nobody -w /tmp -e WHO=me web sh -c 'id; pwd; echo $WHO'";

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Leave it running, with nothing to read and nobody who listens; with -t, at a terminal that
    /// nobody looks at
    #[arg(short, long)]
    pub detach: bool,

    /// Set an environment variable; without a value it takes yours, if you have one
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<Variable>,

    /// Set the variables of a file, one a line; -e goes before it
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,

    /// Let the command read your standard input; otherwise it finds nothing to read
    #[arg(short, long)]
    pub interactive: bool,

    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,

    /// User, and group, of the command: names are looked up in the instance [default: those of
    /// its own command]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserSpec>,

    /// Directory inside the instance where the command starts [default: that of its own command]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<OsString>,

    /// The instance, and then the command with its arguments.
    // A single list that swallows all after its first word: flags in it are the command's.
    #[arg(value_name = "INSTANCE COMMAND", trailing_var_arg = true, hide = true)]
    words: Vec<OsString>,
}

/// One of the two is missing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    #[error("no instance given")]
    Instance,
    #[error("no command given")]
    Command,
}

impl ExecArgs {
    /// The instance, and the words of the command: at least one.
    pub fn instance_and_command(&self) -> Result<(&OsString, &[OsString]), Incomplete> {
        let (instance, command) = self.words.split_first().ok_or(Incomplete::Instance)?;
        match command.is_empty() {
            true => Err(Incomplete::Command),
            false => Ok((instance, command)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Action, Cli};

    fn parse(line: &[&str]) -> ExecArgs {
        let line = ["jaula", "exec"].iter().chain(line);
        match Cli::try_parse_from(line).unwrap().action {
            Action::Exec(args) => args,
            _ => panic!("not an exec"),
        }
    }

    #[test]
    fn everything_after_the_instance_is_the_command() {
        for (line, command) in [
            (&["web", "ls", "-l"][..], &["ls", "-l"][..]),
            (&["-i", "web", "-i"], &["-i"]),
            (&["web", "sh", "--", "x"], &["sh", "--", "x"]),
        ] {
            let args = parse(line);
            let (instance, words) = args.instance_and_command().unwrap();
            assert_eq!(instance, "web");
            assert_eq!(words, command, "{line:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |line: &[&str]| parse(line).instance_and_command().unwrap_err();
        assert_eq!(missing(&[]), Incomplete::Instance);
        assert_eq!(missing(&["-d", "web"]), Incomplete::Command);
    }
}
