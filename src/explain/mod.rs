//! `jaula explain`: what each side does, step by step, and what for.

mod chapter;
mod language;
mod lessons;
mod observed;
mod page;

use launch::{Launcher, Prepared, Progress};

use crate::args::ExplainArgs;
use crate::error::{self, Error};
use crate::interruption::{Interruption, Wish};
use crate::not_executed::NotExecuted;
use crate::signals::Signals;
use crate::workload::{Held, Typed};
use crate::{output, progress, workload};
pub use language::Language;
use observed::observe;
use page::Page;

/// Launches the command on each side, watches that, and prints what was seen. The exit code is 0
/// when it was executed on both, whatever it made of that.
pub fn explain(args: &ExplainArgs) -> Result<u8, Error> {
    let mut signals = Signals::hold()?;
    let interruption = Interruption::default();
    let progress = progress::on_stderr();
    let prepared = signals.once_it_takes_long(
        &|signal| interruption.take(signal, Wish::End),
        progress.as_ref(),
        |progress| prepare(args, progress),
    )?;
    interruption.check()?;
    let Ready {
        program,
        container,
        vm,
        // Nobody removes its image and volumes while it runs.
        _held,
    } = prepared?;
    let page = Page {
        container: observe(container.as_ref(), &mut signals, &interruption)?,
        vm: observe(vm.as_ref(), &mut signals, &interruption)?,
        language: args.lang,
    };
    output::print(&page.render(output::width()))?;
    for status in [page.container.launch.status, page.vm.launch.status] {
        if let Some(not_executed) = NotExecuted::from(program.clone(), status) {
            error::print(&not_executed);
            return Ok(status.code());
        }
    }
    Ok(0)
}

/// What can be launched.
struct Ready {
    program: String,
    container: Box<dyn Prepared>,
    vm: Box<dyn Prepared>,
    _held: Held,
}

fn prepare(args: &ExplainArgs, progress: &dyn Progress) -> Result<Ready, launch::Error> {
    let boot = &args.workload.boot;
    (boot.check_command())
        .map_err(|error| launch::Error::new(error).with_remedy("leave it out"))?;
    let Typed {
        installation,
        workload,
        held,
    } = workload::prepare(&args.workload, None, progress)?;
    let boot = boot.guest();
    Ok(Ready {
        program: workload.command.program().to_string_lossy().into_owned(),
        container: installation.container().prepare(&workload, progress)?,
        vm: installation
            .vm(boot, args.start.into())
            .prepare(&workload, progress)?,
        _held: held,
    })
}
