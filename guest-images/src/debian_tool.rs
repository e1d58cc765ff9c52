//! Programs of Debian packages that do what no library does as well.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Output, Stdio};

use host::search_path;
use nix::sys::signal::SigSet;
use rustix::process::{Signal, set_parent_process_death_signal};

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not on this machine.
    #[error("there is no {program} on this machine")]
    Missing {
        /// What was to be run.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// It is there but could not be run.
    #[error("can't run {program}")]
    Run {
        /// What was to be run.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It ran and failed.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// What was run.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last line of its error output.
        said: String,
    },
}

impl ToolError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Missing { package, .. } => Some(install(package)),
            _ => None,
        }
    }
}

/// The remedy for a missing package.
pub(crate) fn install(package: &str) -> Cow<'static, str> {
    format!("install it: apt-get install {package}").into()
}

/// A program, and the Debian package that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

impl Tool {
    /// The program to be run: without input, in the C locale, and never longer than we run.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(self.program);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        // SAFETY: between fork and exec only prctl(2) and sigprocmask(2) are called, which are
        // async-signal-safe and take no lock and no memory.
        unsafe {
            command.pre_exec(|| {
                // Signals that we hold back are not to be held back from it, too.
                SigSet::empty().thread_set_mask()?;
                // SIGTERM, as make then ends the compilers that it started.
                set_parent_process_death_signal(Some(Signal::TERM))?;
                Ok(())
            });
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(
        self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Output, ToolError> {
        let mut command = self.command();
        command.args(args);
        self.run_command(command)
    }

    /// Runs a command of this program's to its end.
    pub(crate) fn run_command(self, mut command: Command) -> Result<Output, ToolError> {
        let output = command.output().map_err(|error| self.not_run(error))?;
        self.check(output.status, &output.stderr)?;
        Ok(output)
    }

    /// Why it could not be started.
    pub(crate) fn not_run(self, source: io::Error) -> ToolError {
        let Self { program, package } = self;
        // Not told by the error: it is another one if a directory of PATH can't be searched.
        if self.is_in(&env::var_os("PATH").unwrap_or_default()) {
            ToolError::Run { program, source }
        } else {
            ToolError::Missing { program, package }
        }
    }

    /// Whether one of these directories has it; a program with a path of its own needs none.
    pub(crate) fn is_in(self, path: &OsStr) -> bool {
        search_path::has(path, self.program)
    }

    /// Whether it did its work.
    pub(crate) fn check(self, status: ExitStatus, stderr: &[u8]) -> Result<(), ToolError> {
        if status.success() {
            return Ok(());
        }
        Err(ToolError::Failed {
            program: self.program,
            status,
            said: last_line(stderr),
        })
    }
}

/// The last line with text in it, of a length fit for a message.
fn last_line(text: &[u8]) -> String {
    const MAX_CHARS: usize = 300;
    String::from_utf8_lossy(text)
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("it said nothing")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SH: Tool = Tool {
        program: "sh",
        package: "dash",
    };

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let tool = Tool {
            program: "jaula-no-such-program",
            package: "some-package",
        };
        let error = tool.run([""; 0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no jaula-no-such-program on this machine"
        );
        assert_eq!(
            error.remedy().unwrap(),
            "install it: apt-get install some-package"
        );
    }

    #[test]
    fn a_failure_carries_the_last_line_that_was_said() {
        let error = SH
            .run(["-c", "echo first >&2; echo last >&2; echo >&2; exit 3"])
            .unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3): last");
    }
}
