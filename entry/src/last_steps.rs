use std::convert::Infallible;
use std::os::fd::BorrowedFd;

use launch::{Command, Security, Stdio, Ulimit};

use crate::credentials::Identity;
use crate::descriptors;
use crate::exec::Program;
use crate::failure::{At, Failure, Step};
use crate::filter::Filter;
use crate::init::Init;
use crate::privileges::Privileges;
use crate::syscall;
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
    /// What is said of `stdio` and `lifeline` at [`Entry::run`](crate::Entry::run) goes for this
    /// one too. `ring` is called immediately before `execve`.
    pub(crate) fn take(
        &self,
        stdio: &Stdio,
        lifeline: Option<BorrowedFd<'_>>,
        init: Option<&Init>,
        ring: impl Fn(),
    ) -> Result<Infallible, Failure> {
        let opened = init.and_then(Init::opened);
        let [lifeline, opened] =
            descriptors::put_in_place(stdio, [lifeline, opened]).at(Step::Descriptors)?;
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
        if let Some(lifeline) = lifeline {
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
}

fn load(filter: Option<&Filter>) -> Result<(), Failure> {
    filter.map_or(Ok(()), Filter::load).at(Step::Filter)
}
