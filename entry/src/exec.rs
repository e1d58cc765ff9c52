//! Looking up the program and executing it.

use std::ffi::{CStr, CString, c_char};

use launch::Command;

use crate::failure::{Failure, Step};
use crate::magic_link;
use crate::syscall::{self, Errno, Result};

/// Where a program is looked for when the environment has no `PATH`: docker's default.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All that `execve` needs, made before there is no more memory to be had.
pub struct Program {
    candidates: Vec<CString>,
    argv: Strings,
    env: Strings,
}

impl Program {
    /// Prepares to execute a command.
    pub fn new(command: &Command) -> Self {
        Self {
            candidates: candidates(command.program(), command.path().unwrap_or(DEFAULT_PATH)),
            argv: Strings::new(command.argv()),
            env: Strings::new(command.env()),
        }
    }

    /// Refuses what must not be executed. To be called with all privileges, since what the
    /// command's user may execute is not always what it may read.
    pub(crate) fn check(&self) -> Result<()> {
        self.candidates
            .iter()
            .try_for_each(|candidate| magic_link::refuse(candidate))
    }

    /// Executes the first candidate that can be; returns only if none can. What is not there is
    /// passed over, and so is what may not be executed, but that is remembered: as in a shell.
    /// Makes system calls and nothing else.
    pub fn execute(&self) -> Failure {
        let Errno(errno) = self.try_execute();
        Failure {
            step: Step::Exec,
            errno,
        }
    }

    fn try_execute(&self) -> Errno {
        let mut result = Errno(libc::ENOENT);
        for candidate in &self.candidates {
            // SAFETY: both arrays end with a null pointer, and their strings live as long as
            // `self`.
            match unsafe { syscall::execute(candidate, self.argv.as_ptr(), self.env.as_ptr()) } {
                Errno(libc::ENOENT | libc::ENOTDIR) => {}
                errno @ Errno(libc::EACCES) => result = errno,
                errno => return errno,
            }
        }
        result
    }
}

/// The paths at which a program may be: itself if its name has a slash, else in each directory of
/// `path`, where an empty one is the working directory (`execvp(3)`).
fn candidates(program: &CStr, path: &[u8]) -> Vec<CString> {
    let name = program.to_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    path.split(|byte| *byte == b':')
        .filter_map(|directory| {
            let separator: &[u8] = if directory.is_empty() { b"./" } else { b"/" };
            CString::new([directory, separator, name].concat()).ok()
        })
        .collect()
}

/// C strings and the array of pointers to them that `execve` takes.
pub(crate) struct Strings {
    /// Where `pointers` point: never changed after they were taken.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    pub(crate) fn new(strings: &[CString]) -> Self {
        let strings = strings.to_vec();
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self {
            _strings: strings,
            pointers,
        }
    }

    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_as_a_shell_does() {
        for (program, path, expected) in [
            (
                c"sh",
                &b"/bin:/usr/bin"[..],
                &["/bin/sh", "/usr/bin/sh"][..],
            ),
            (c"sh", b"/bin::lib", &["/bin/sh", "./sh", "lib/sh"]),
            (c"sh", b"", &["./sh"]),
            (c"/bin/sh", b"/usr/bin", &["/bin/sh"]),
            (c"./sh", b"/usr/bin", &["./sh"]),
            (c"a/sh", b"/usr/bin", &["a/sh"]),
            (c"", b"/usr/bin", &[""]),
        ] {
            let candidates: Vec<_> = candidates(program, path)
                .into_iter()
                .map(|candidate| candidate.into_string().unwrap())
                .collect();
            assert_eq!(candidates, expected, "{program:?} in {path:?}");
        }
    }
}
