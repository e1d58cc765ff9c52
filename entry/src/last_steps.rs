use std::convert::Infallible;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};

use launch::{Command, Security, Ulimit};

use crate::credentials::Identity;
use crate::descriptors;
use crate::exec::Program;
use crate::failure::{At, Failure, Step};
use crate::filter::Filter;
use crate::init::Init;
use crate::privileges::Privileges;
use crate::syscall;
use crate::ties::{Lifeline, Ties};
use crate::working_directory::WorkingDirectory;

/// From a root to `execve`: the same for the command that the root was made for and for one that
/// joins it.
pub(crate) struct LastSteps {
    working_directory: WorkingDirectory,
    identity: Identity,
    ulimits: Vec<Ulimit>,
    filter: Option<Filter>,
    program: Program,
}

impl LastSteps {
    /// Prepares everything: [`LastSteps::take`] will only make system calls.
    pub(crate) fn new(
        command: &Command,
        ulimits: &[Ulimit],
        security: &Security,
        filter: Option<&Filter>,
        privileges: Privileges,
    ) -> Self {
        let set_groups = privileges.has_many_ids();
        Self {
            working_directory: WorkingDirectory::new(command.cwd()),
            identity: Identity::new(command.credentials(), set_groups, security),
            ulimits: ulimits.to_vec(),
            filter: filter.cloned(),
            program: Program::new(command),
        }
    }

    /// The command's working directory.
    pub(crate) fn working_directory(&self) -> &WorkingDirectory {
        &self.working_directory
    }

    /// Becomes the command, or `init`, which executes it; returns only if that fails.
    ///
    /// `terminal` is the command's end of the terminal that `ties` asks for, which has been opened.
    /// `ring` is called immediately before `execve`.
    pub(crate) fn take(
        &self,
        ties: &Ties<'_>,
        terminal: Option<OwnedFd>,
        init: Option<&Init>,
        ring: impl Fn(),
    ) -> Result<Infallible, Failure> {
        let streams = match terminal {
            Some(terminal) => self.become_terminals_session(terminal)?,
            None => ties.streams,
        };
        let opened = init.and_then(Init::opened);
        let lifeline = ties.lifeline.map(|lifeline| lifeline.pipe);
        let [lifeline, opened] =
            descriptors::put_in_place(streams, [lifeline, opened]).at(Step::Descriptors)?;
        // While root: docker enters a directory that only root may, too.
        self.working_directory.enter().at(Step::WorkingDirectory)?;
        if init.is_none() {
            // Else it is not ours any more that the program could reach.
            self.program.check().at(Step::Exec)?;
        }
        // After all that opens files, of which there may be few, and while they may be raised.
        for limit in &self.ulimits {
            syscall::set_limit(limit.resource, limit.soft, limit.hard).at(Step::Ulimits)?;
        }
        let filter = self.filter.as_ref();
        // Loading it takes CAP_SYS_ADMIN or no_new_privs. Without the latter it comes before the
        // former goes, and decides about our own calls from here on, too.
        let (early, late) = match self.identity.can_gain_privileges() {
            true => (filter, None),
            false => (None, filter),
        };
        load(early)?;
        self.identity.assume()?;
        let dies_with_parent = |lifeline: Lifeline<'_>| lifeline.die_with_parent;
        if let Some(lifeline) = lifeline
            && ties.lifeline.is_some_and(dies_with_parent)
        {
            // After the last change of credentials, which would undo it (prctl(2)).
            syscall::die_with_parent().at(Step::ParentDeath)?;
            // The parent may have died before that, and then nothing would come of it.
            if syscall::has_no_reader(lifeline).at(Step::ParentDeath)? {
                return Err(Failure {
                    step: Step::ParentDeath,
                    errno: libc::ESRCH,
                });
            }
        }
        syscall::set_umask(0o022);
        // As late as can be: only `execve` passes it, of all that is ours.
        load(late)?;
        ring();
        match init {
            Some(init) => Err(init.execute(opened.unwrap_or(-1))).at(Step::Init),
            None => Err(self.program.execute()),
        }
    }

    /// Makes the terminal that of the session and the user's. Returns it three times.
    fn become_terminals_session(
        &self,
        terminal: OwnedFd,
    ) -> Result<[BorrowedFd<'static>; 3], Failure> {
        // Not closed by a destructor: by then the number may be that of something else.
        let terminal = terminal.into_raw_fd();
        // SAFETY: it is open until all descriptors are closed that were not put in place, after
        // which nothing uses it.
        let terminal = unsafe { BorrowedFd::borrow_raw(terminal) };
        syscall::make_controlling(terminal).at(Step::Terminal)?;
        self.identity.take_over(terminal).at(Step::Terminal)?;
        Ok([terminal; 3])
    }
}

fn load(filter: Option<&Filter>) -> Result<(), Failure> {
    filter.map_or(Ok(()), Filter::load).at(Step::Filter)
}
