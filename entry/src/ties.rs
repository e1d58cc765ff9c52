use std::os::fd::BorrowedFd;

use launch::WindowSize;

/// What connects the process that becomes the command with those who made it.
#[derive(Clone, Copy)]
pub struct Ties<'a> {
    /// Become the command's standard streams, if it has no terminal; every other descriptor is
    /// closed.
    pub streams: [BorrowedFd<'a>; 3],
    /// The terminal that it gets in their place.
    pub terminal: Option<Terminal<'a>>,
    /// By which the parent learns that the command was executed.
    pub lifeline: Option<Lifeline<'a>>,
}

/// A terminal that is to be opened for the command.
#[derive(Clone, Copy)]
pub struct Terminal<'a> {
    /// Its size at first.
    pub size: WindowSize,
    /// A Unix socket over which its master is sent, with one byte (`SCM_RIGHTS`, `unix(7)`). Reads
    /// from it and writes to it don't block (`O_NONBLOCK`).
    pub socket: BorrowedFd<'a>,
}

/// The writing end of a pipe whose reading end only the parent has. The parent reads its end when
/// the command was executed or the process ended.
#[derive(Clone, Copy)]
pub struct Lifeline<'a> {
    /// The end.
    pub pipe: BorrowedFd<'a>,
    /// Whether the process is killed when the thread that made it ends.
    pub die_with_parent: bool,
}
