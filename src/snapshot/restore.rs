//! `jaula snapshot restore`: a saved command goes on, with the caller's own streams and signals.

use vmm::snapshot::Store;

use crate::args::RestoreArgs;
use crate::error::Error;
use crate::foreground::{self, Attached, SignalFate};
use crate::installation::Installation;
use crate::instances::announce::Announced;
use crate::instances::asked;
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;

/// Goes on with it; the exit code is the command's.
pub fn restore(
    args: &RestoreArgs,
    installation: &Installation,
    store: &Store,
) -> Result<u8, Error> {
    let mut signals = Signals::hold()?;
    let interruption = Interruption::default();
    let prepare = || -> Result<_, launch::Error> {
        installation.sweep()?;
        let instance = args.name.clone();
        let prepared = vmm::resume(installation.run_dir(), store, &args.snapshot, instance)?;
        let snapshot = store.inspect(&args.snapshot).map_err(super::failed)?;
        let saved = snapshot.description();
        Ok((prepared, asked::of_snapshot(&args.snapshot, saved)))
    };
    let prepared = signals.during(|signal| interruption.take(signal, Wish::End), prepare)?;
    interruption.check()?;
    let (prepared, asked) = prepared?;
    let announced = Announced {
        prepared: prepared.as_ref(),
        asked: &asked,
        run_dir: installation.run_dir(),
        timeline: None,
    };
    let attached = Attached {
        interactive: args.interactive,
        tty: asked.terminal,
        signals: SignalFate::PassedOn,
    };
    let end = foreground::follow(&announced, attached, &mut signals)?;
    Ok(end.status.code())
}
