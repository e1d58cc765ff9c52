use std::ffi::{CStr, CString};

use serde::{Deserialize, Serialize};

/// Whom the command runs as. Names were looked up in the image before this was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// User ID inside the instance.
    pub uid: u32,
    /// Primary group ID inside the instance.
    pub gid: u32,
    /// Supplementary group IDs inside the instance.
    pub groups: Vec<u32>,
}

/// Why a [`Command`] can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no program to run.
    #[error("no command given, and the image has no default one")]
    Empty,
    /// `execve` takes strings that end at their first NUL byte.
    #[error("{what} holds a NUL byte")]
    Nul {
        /// Which of the strings.
        what: &'static str,
    },
    /// The working directory does not start at the root.
    #[error("working directory {0:?} is not an absolute path")]
    RelativeCwd(String),
}

/// What `execve` is called with, and where and as whom.
///
/// Strings are kept as C strings: bytes, not text, without a NUL, ready for the system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    credentials: Credentials,
}

impl Command {
    /// Checks and keeps what the command is to be run with. `env` holds `NAME=value` strings.
    pub fn new<S: Into<Vec<u8>>>(
        argv: impl IntoIterator<Item = S>,
        env: impl IntoIterator<Item = S>,
        cwd: impl Into<Vec<u8>>,
        credentials: Credentials,
    ) -> Result<Self, CommandError> {
        let c_string = |what| move |s: S| CString::new(s).map_err(|_| CommandError::Nul { what });
        let argv: Vec<_> = argv
            .into_iter()
            .map(c_string("an argument"))
            .collect::<Result<_, _>>()?;
        if argv.is_empty() {
            return Err(CommandError::Empty);
        }
        let env = env
            .into_iter()
            .map(c_string("an environment variable"))
            .collect::<Result<_, _>>()?;
        let cwd = CString::new(cwd).map_err(|_| CommandError::Nul {
            what: "the working directory",
        })?;
        if !cwd.as_bytes().starts_with(b"/") {
            return Err(CommandError::RelativeCwd(
                cwd.to_string_lossy().into_owned(),
            ));
        }
        Ok(Self {
            argv,
            env,
            cwd,
            credentials,
        })
    }

    /// The program's name as given; a path, or a name to be found in [`Command::path`].
    pub fn program(&self) -> &CStr {
        // `new` refuses an empty argv, but a deserialised one did not pass through it.
        self.argv.first().map_or(c"", CString::as_c_str)
    }

    /// All arguments, the program's name first.
    pub fn argv(&self) -> &[CString] {
        &self.argv
    }

    /// `NAME=value` strings.
    pub fn env(&self) -> &[CString] {
        &self.env
    }

    /// The value of `PATH`, in which a program named without a slash is looked up.
    pub fn path(&self) -> Option<&[u8]> {
        self.env
            .iter()
            .rev()
            .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="))
    }

    /// The working directory, an absolute path inside the instance; made if it is missing.
    pub fn cwd(&self) -> &CStr {
        &self.cwd
    }

    /// Whom the command runs as.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str], env: &[&str], cwd: &str) -> Result<Command, CommandError> {
        Command::new(
            argv.iter().copied(),
            env.iter().copied(),
            cwd,
            Credentials::default(),
        )
    }

    #[test]
    fn a_command_needs_a_program() {
        assert_eq!(command(&[], &[], "/"), Err(CommandError::Empty));
    }

    #[test]
    fn a_nul_byte_is_refused_wherever_it_is() {
        for (argv, env, cwd) in [
            (&["a\0b"][..], &[][..], "/"),
            (&["a"][..], &["A=\0"][..], "/"),
            (&["a"][..], &[][..], "/\0"),
        ] {
            assert!(matches!(
                command(argv, env, cwd),
                Err(CommandError::Nul { .. })
            ));
        }
    }

    #[test]
    fn the_working_directory_is_absolute() {
        assert_eq!(
            command(&["a"], &[], "tmp"),
            Err(CommandError::RelativeCwd("tmp".into()))
        );
    }

    #[test]
    fn the_last_path_in_the_environment_counts() {
        let command = command(&["a"], &["PATH=/bin", "PATHS=/x", "PATH=/sbin"], "/").unwrap();
        assert_eq!(command.path(), Some(&b"/sbin"[..]));
    }
}
