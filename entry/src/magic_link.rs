//! Programs that are reached through a magic link of `/proc`, which must not be executed.
//!
//! Until its `execve`, `/proc/self/exe` of the process is the launcher's own program, or that of
//! a guest's PID 1. An image could have it executed, by a link, as the interpreter of a script or
//! as the loader of a program, together with a dynamic loader of its own; and what runs from a file can open it and, once it
//! runs no more, overwrite it (CVE-2019-5736). After the first `execve` there is nothing left to
//! be reached that way, so it is enough to look once, at what that would execute.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use crate::elf_loader;
use crate::path_bytes::PATH_MAX;
use crate::syscall::{self, Errno, Result};

/// As much of a file as the kernel looks at, `BINPRM_BUF_SIZE` of `include/uapi/linux/binfmts.h`.
const HEAD_BYTES: usize = 256;

/// How many interpreters of interpreters the kernel goes through, `exec_binprm` of `fs/exec.c`.
const MAX_DEPTH: usize = 5;

/// Refuses a program, or the interpreter of a script or the loader of a program, that is reached
/// through a magic link. What can't be opened for another reason is let pass: `execve` will say why.
///
/// # Errors
///
/// `ELOOP`, which is also what `execve` says of links that lead nowhere.
pub(crate) fn refuse(program: &CStr) -> Result<()> {
    let mut head = [0; HEAD_BYTES + 1];
    let Some(mut file) = read_head(program, &mut head)? else {
        return Ok(());
    };
    for _ in 0..MAX_DEPTH {
        // A copy of the path, since the file that it names is read to where it was.
        let Some(interpreter) = interpreter(&head) else {
            let mut loader = [0; PATH_MAX];
            return match elf_loader::loader(file.as_fd(), &head, &mut loader)? {
                Some(loader) => name(loader).map(drop),
                None => Ok(()),
            };
        };
        file = match read_head(interpreter.as_c_str()?, &mut head)? {
            Some(file) => file,
            None => return Ok(()),
        };
    }
    // The kernel gives up here, too.
    Ok(())
}

/// Opens a file only to name it; `None` if that can't be done.
fn name(path: &CStr) -> Result<Option<OwnedFd>> {
    match syscall::open_without_magic_links(path, libc::O_PATH) {
        Err(errno @ Errno(libc::ELOOP)) => Err(errno),
        opened => Ok(opened.ok()),
    }
}

/// Opens a regular file and reads its start; `None` if that can't be done. The last byte stays 0.
fn read_head(path: &CStr, head: &mut [u8; HEAD_BYTES + 1]) -> Result<Option<OwnedFd>> {
    // Only named at first: an image may have a device there, which opening would wake.
    let Some(named) = name(path)? else {
        return Ok(None);
    };
    if !syscall::is_regular_file(named.as_fd())? {
        return Ok(None);
    }
    let Ok(file) = syscall::open_without_magic_links(path, libc::O_RDONLY | libc::O_NONBLOCK)
    else {
        return Ok(None);
    };
    *head = [0; HEAD_BYTES + 1];
    let (bytes, _) = head.split_at_mut(HEAD_BYTES);
    syscall::read_into(file.as_fd(), bytes)?;
    Ok(Some(file))
}

/// A path of a script's first line.
struct Interpreter([u8; HEAD_BYTES + 1]);

impl Interpreter {
    fn as_c_str(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno(libc::ENOEXEC))
    }
}

/// The interpreter that the first line of a script names, read as `fs/binfmt_script.c` does.
fn interpreter(head: &[u8]) -> Option<Interpreter> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = head.strip_prefix(b"#!")?;
    let path = line
        .iter()
        .skip_while(|byte| is_blank(byte))
        .take_while(|byte| !is_blank(byte) && !matches!(byte, b'\n' | 0));
    let mut interpreter = Interpreter([0; HEAD_BYTES + 1]);
    for (to, from) in interpreter.0.iter_mut().zip(path) {
        *to = *from;
    }
    Some(interpreter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_read_as_the_kernel_reads_it() {
        for (head, expected) in [
            (&b"#!/bin/sh\n"[..], Some(c"/bin/sh")),
            (b"#! \t/bin/sh -e\n", Some(c"/bin/sh")),
            (b"#!/bin/sh\t-e", Some(c"/bin/sh")),
            (b"#!/bin/sh\0\0", Some(c"/bin/sh")),
            (b"#!\n", Some(c"")),
            (b"#!", Some(c"")),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            let found = interpreter(head);
            let found = found.as_ref().map(|found| found.as_c_str().unwrap());
            assert_eq!(found, expected, "{head:?}");
        }
    }

    #[test]
    fn a_path_as_long_as_the_head_ends_where_that_does() {
        let head = [b"#!".as_slice(), &[b'/'; HEAD_BYTES]].concat();
        let found = interpreter(&head[..HEAD_BYTES]).unwrap();
        assert_eq!(found.as_c_str().unwrap().count_bytes(), HEAD_BYTES - 2);
    }

    #[test]
    fn the_own_program_is_refused_and_others_are_not() {
        assert_eq!(refuse(c"/proc/self/exe"), Err(Errno(libc::ELOOP)));
        assert_eq!(refuse(c"/bin/sh"), Ok(()));
        assert_eq!(refuse(c"/no/such/file"), Ok(()));
        assert_eq!(refuse(c"/dev/null"), Ok(()));
        assert_eq!(refuse(c"/"), Ok(()));
    }
}
