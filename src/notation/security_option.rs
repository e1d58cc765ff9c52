//! `--security-opt`.

use std::path::PathBuf;
use std::str::FromStr;

use super::Invalid;

/// Which system calls the command may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeccompArg {
    /// Those that it may make without the flag: docker's `builtin`.
    Default,
    /// All.
    Unconfined,
    /// Those of the profile in this file.
    File(PathBuf),
}

/// `no-new-privileges[=true|false]` or `seccomp=FILE|unconfined|builtin`; a `:` may stand for the
/// first `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityOption {
    /// Whether `execve` never gives more rights.
    NoNewPrivileges(bool),
    /// Which system calls the command may make.
    Seccomp(SeccompArg),
}

impl FromStr for SecurityOption {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let (name, value) = match given.split_once(['=', ':']) {
            Some((name, value)) => (name, Some(value)),
            None => (given, None),
        };
        match (name, value) {
            ("no-new-privileges", None | Some("true")) => Ok(Self::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(Self::NoNewPrivileges(false)),
            ("no-new-privileges", _) => Err(Invalid::new("no-new-privileges takes true or false")),
            ("seccomp", Some("unconfined")) => Ok(Self::Seccomp(SeccompArg::Unconfined)),
            ("seccomp", Some("builtin")) => Ok(Self::Seccomp(SeccompArg::Default)),
            ("seccomp", None | Some("")) => {
                Err(Invalid::new("seccomp takes FILE, unconfined or builtin"))
            }
            ("seccomp", Some(file)) => Ok(Self::Seccomp(SeccompArg::File(file.into()))),
            _ => Err(Invalid::new(
                "takes seccomp=FILE, seccomp=unconfined, no-new-privileges or \
                 no-new-privileges=false",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_are_read_as_docker_reads_them() {
        let seccomp = |arg| Some(SecurityOption::Seccomp(arg));
        for (given, expected) in [
            (
                "no-new-privileges",
                Some(SecurityOption::NoNewPrivileges(true)),
            ),
            (
                "no-new-privileges:true",
                Some(SecurityOption::NoNewPrivileges(true)),
            ),
            (
                "no-new-privileges=false",
                Some(SecurityOption::NoNewPrivileges(false)),
            ),
            ("no-new-privileges=", None),
            ("no-new-privileges:maybe", None),
            ("seccomp=unconfined", seccomp(SeccompArg::Unconfined)),
            ("seccomp:unconfined", seccomp(SeccompArg::Unconfined)),
            ("seccomp=builtin", seccomp(SeccompArg::Default)),
            ("seccomp=a:b=c", seccomp(SeccompArg::File("a:b=c".into()))),
            ("seccomp", None),
            ("seccomp=", None),
            ("", None),
            ("apparmor=unconfined", None),
            ("label=disable", None),
        ] {
            assert_eq!(given.parse().ok(), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given: String) {
            let _ = given.parse::<SecurityOption>();
        }
    }
}
