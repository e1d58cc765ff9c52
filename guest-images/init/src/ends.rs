//! What a command reads from and writes to, and our ends of it.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use entry::Ties;
use launch::{Credentials, Stdio, WindowSize};
use rustix::fs::{Uid, fchown};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::connections::Streams;
use crate::fatal::Fatal;
use crate::load::Load;
use crate::stream::Stream;
use crate::terminal::Terminal;

/// Our ends: of pipes, and of the socket over which the master of a terminal comes.
pub(crate) struct OurEnds {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    hatch: OwnedFd,
}

/// Those of the process that becomes the command.
pub(crate) struct TheirEnds {
    stdio: Stdio,
    hatch: Option<OwnedFd>,
}

/// Makes all that any command needs, whether it is to have a terminal or not.
///
/// Pipes, and not the connections themselves: a command may open `/dev/stdout` again, which a
/// socket refuses.
pub(crate) fn make() -> Result<(OurEnds, TheirEnds), Fatal> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(Fatal::when("making a pipe"));
    let (stdin_reader, stdin) = pipe()?;
    let (stdout, stdout_writer) = pipe()?;
    let (stderr, stderr_writer) = pipe()?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (hatch, their_hatch) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(Fatal::when("making a socket"))?;
    let ours = OurEnds {
        stdin,
        stdout,
        stderr,
        hatch,
    };
    let theirs = TheirEnds {
        stdio: Stdio {
            stdin: stdin_reader,
            stdout: stdout_writer,
            stderr: stderr_writer,
        },
        hatch: Some(their_hatch),
    };
    Ok((ours, theirs))
}

impl OurEnds {
    /// Joins them with the connections to the host, when the command was executed: with a terminal,
    /// if it asked for one.
    pub(crate) fn joined_to(
        self,
        connections: Streams,
        terminal: Option<WindowSize>,
    ) -> Result<Load, Fatal> {
        if terminal.is_some() {
            // A terminal has one output.
            connections
                .end_stderr()
                .map_err(Fatal::when("ending an output"))?;
            let Streams([stdin, stdout, _]) = connections;
            let carried =
                receive(&self.hatch).and_then(|master| Terminal::new(master, stdin, stdout));
            let carried = carried.map_err(Fatal::when("taking the terminal"))?;
            return Ok(Load::Terminal(Box::new(carried)));
        }
        let Streams([stdin, stdout, stderr]) = connections;
        Ok(Load::Streams(vec![
            Stream::to_command(stdin, self.stdin),
            Stream::to_host(self.stdout, stdout),
            Stream::to_host(self.stderr, stderr),
        ]))
    }
}

impl TheirEnds {
    /// Streams, and no way to a terminal.
    pub(crate) fn of(stdio: Stdio) -> Self {
        Self { stdio, hatch: None }
    }

    /// Gives the pipes to the command's user, who may not be root and may open `/dev/stdout` again.
    pub(crate) fn give_to(&self, user: &Credentials) -> Result<(), Fatal> {
        if user.uid == 0 {
            return Ok(());
        }
        for pipe in self.stdio.as_fds() {
            fchown(pipe, Some(Uid::from_raw(user.uid)), None)
                .map_err(Fatal::when("changing the owner of a pipe"))?;
        }
        Ok(())
    }

    /// What the process is tied to. Makes no system call.
    pub(crate) fn ties(&self, terminal: Option<WindowSize>) -> Ties<'_> {
        let terminal = terminal.zip(self.hatch.as_ref());
        Ties {
            streams: self.stdio.as_fds(),
            terminal: terminal.map(|(size, hatch)| entry::Terminal {
                size,
                socket: hatch.as_fd(),
            }),
            lifeline: None,
        }
    }

    /// The streams alone.
    #[cfg(test)]
    pub(crate) fn into_stdio(self) -> Stdio {
        self.stdio
    }
}

/// Takes the one descriptor that was sent.
fn receive(hatch: &OwnedFd) -> Result<OwnedFd, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        hatch,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;
    let mut received = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    received.next().ok_or(Errno::BADMSG)
}
