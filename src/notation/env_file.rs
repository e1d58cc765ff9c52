//! `--env-file`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::environment::Variable;

/// Largest file that is read, in bytes: `execve` takes no environment of this size.
const MAX_BYTES: u64 = 16 << 20;

/// Why a file gives no variables.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It is not there, or may not be read.
    #[error("can't read the environment file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line of it is no variable.
    #[error("line {line} of the environment file {}: {why}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The variables of a file in docker's format.
///
/// A line is `NAME=VALUE`, or `NAME` for the value it has here. Blanks in front of the name are
/// left out, and so are empty lines and those that begin with `#`. The value is all behind the
/// first `=`: quotes, blanks and `#` in it are its own.
#[derive(Debug, PartialEq, Eq)]
pub struct EnvFile(pub Vec<Variable>);

impl EnvFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it can't be read or has a line that is no variable.
    pub fn read(path: &Path) -> Result<Self, EnvFileError> {
        let refuse = |source| EnvFileError::Read {
            path: path.to_owned(),
            source,
        };
        let contents = read(path).map_err(refuse)?;
        Self::parse(&contents).map_err(|(line, why)| EnvFileError::Line {
            path: path.to_owned(),
            line,
            why,
        })
    }

    fn parse(contents: &[u8]) -> Result<Self, (usize, &'static str)> {
        // As editors of another system write it in front of UTF-8.
        let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
        let mut variables = Vec::new();
        for (index, line) in contents.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let refuse = |why| (index + 1, why);
            let name = line.split(|byte| *byte == b'=').next().unwrap_or(line);
            if name.iter().any(u8::is_ascii_whitespace) {
                return Err(refuse("a variable's name has no blanks in it"));
            }
            let variable = Variable::try_from(OsString::from(OsStr::from_bytes(line)));
            variables.push(variable.map_err(|_| refuse("a variable needs a name"))?);
        }
        Ok(Self(variables))
    }
}

/// Reads a file or what else has an end, as `<(command)` of a shell.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut contents = Vec::new();
    let file = fs::File::open(path)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(name: &str, value: &str) -> Variable {
        Variable::Set(name.into(), value.into())
    }

    #[test]
    fn lines_are_read_as_docker_reads_them() {
        let file = EnvFile::parse(
            b"\xef\xbb\xbfA=1\n\n# B=2\n  C=3 # 4\nD=\"5\"\r\nE=\n\t# F\nG=a=b\nHOME\nI= x ",
        );
        assert_eq!(
            file.unwrap().0,
            [
                set("A", "1"),
                set("C", "3 # 4"),
                set("D", "\"5\""),
                set("E", ""),
                set("G", "a=b"),
                Variable::Inherit("HOME".into()),
                set("I", " x "),
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_variable_is_named() {
        for (contents, line) in [
            (&b"=1"[..], 1),
            (b"A=1\nexport B=2", 2),
            (b"A=1\n\nB C\n", 3),
            (b"A =1", 1),
        ] {
            let refused = EnvFile::parse(contents).unwrap_err();
            assert_eq!(refused.0, line);
        }
    }

    proptest! {
        #[test]
        fn no_contents_make_the_parser_panic(contents: Vec<u8>) {
            let _ = EnvFile::parse(&contents);
        }
    }
}
