use std::os::fd::BorrowedFd;

use launch::{Command, Security, Ulimit};

use crate::descriptors;
use crate::failure::{At, Failure, Step};
use crate::filter::Filter;
use crate::last_steps::LastSteps;
use crate::privileges::Privileges;
use crate::signals;
use crate::streams;
use crate::syscall;
use crate::ties::{Lifeline, Terminal, Ties};

/// What joins a command that runs.
#[derive(Clone, Copy)]
pub struct JoiningSpec<'a> {
    /// The command that joins.
    pub command: &'a Command,
    /// Limits of its processes.
    pub ulimits: &'a [Ulimit],
    /// What it may do.
    pub security: &'a Security,
    /// What decides about its system calls; see [`Spec::filter`](crate::Spec::filter).
    pub filter: Option<&'a Filter>,
    /// What the caller may do.
    pub privileges: Privileges,
}

/// A further command in a root that another one runs in: the last half of an
/// [`Entry`](crate::Entry), made while memory can still be had.
pub struct Joining {
    last_steps: LastSteps,
    privileges: Privileges,
}

impl Joining {
    /// Prepares everything: [`Joining::run`] will only make system calls.
    pub fn new(spec: &JoiningSpec<'_>) -> Self {
        Self {
            last_steps: LastSteps::new(
                spec.command,
                spec.ulimits,
                spec.security,
                spec.filter,
                spec.privileges,
            ),
            privileges: spec.privileges,
        }
    }

    /// Gives up every descriptor but those of `ties`, and returns these as they are then. To be
    /// called before the process is where others may look at it: whoever gets hold of what it has
    /// open of the host's is out (CVE-2016-9962). Makes system calls and nothing else.
    ///
    /// # Errors
    ///
    /// [`Step::Descriptors`].
    pub fn let_go(ties: &Ties<'_>) -> Result<Ties<'static>, Failure> {
        let lifeline = ties.lifeline.map(|lifeline| lifeline.pipe);
        let socket = ties.terminal.map(|terminal| terminal.socket);
        let [pipe, new_socket] =
            descriptors::put_in_place(ties.streams, [lifeline, socket]).at(Step::Descriptors)?;
        // SAFETY: these are open now, and stay so until the process puts others there.
        let fd = |number| unsafe { BorrowedFd::borrow_raw(number) };
        Ok(Ties {
            streams: [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO].map(fd),
            terminal: ties
                .terminal
                .zip(new_socket)
                .map(|(terminal, socket)| Terminal {
                    socket: fd(socket),
                    size: terminal.size,
                }),
            lifeline: ties.lifeline.zip(pipe).map(|(lifeline, pipe)| Lifeline {
                pipe: fd(pipe),
                die_with_parent: lifeline.die_with_parent,
            }),
        })
    }

    /// Becomes the command; returns only if that fails.
    ///
    /// The caller is a process of one thread in the cgroup and in all the namespaces of the command
    /// that it joins, with that one's root as its own. For the rest, what is said at
    /// [`Entry::run`](crate::Entry::run) goes for this one too. `ring` is called immediately before
    /// `execve`.
    pub fn run(&self, ties: &Ties<'_>, ring: impl Fn()) -> Failure {
        let begun = || {
            syscall::start_session().at(Step::Session)?;
            syscall::join_new_keyring().at(Step::Keyring)?;
            signals::reset().at(Step::Signals)?;
            let terminal = match &ties.terminal {
                Some(terminal) => Some(terminal.open_in_root()?),
                None => None,
            };
            // Modes are given in full until the command gets its own mask.
            syscall::set_umask(0);
            let streams = streams::with_new_null(ties.streams, self.privileges);
            let ties = Ties {
                streams: streams.at(Step::Descriptors)?,
                ..*ties
            };
            self.last_steps.take(&ties, terminal, None, ring)
        };
        match begun() {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }
}
