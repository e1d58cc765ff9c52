//! `jaula snapshot restore`: a saved command goes on, with the caller's own streams and signals.

use vmm::snapshot::Store;

use crate::args::RestoreArgs;
use crate::error::Error;
use crate::foreground;
use crate::installation::Installation;
use crate::interruption::Interruption;
use crate::signals::Signals;

/// Goes on with it; the exit code is the command's.
pub fn restore(
    args: &RestoreArgs,
    installation: &Installation,
    store: &Store,
) -> Result<u8, Error> {
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let prepare = || {
        installation.sweep()?;
        let instance = args.name.clone();
        vmm::resume(installation.run_dir(), store, &args.snapshot, instance)
    };
    let prepared = signals.during(|signal| interruption.take(signal), prepare)?;
    interruption.check()?;
    let end = foreground::follow(prepared?.as_ref(), args.interactive, &signals)?;
    Ok(end.status.code())
}
