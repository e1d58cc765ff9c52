//! `jaula kernel`: the kernel that guests boot.

use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bench::time;
use guest_images::{Cache, Kernel, Processors, initramfs};
use launch::NoProgress;
use vmm::profile::{self, Profile, SymbolError, Symbols};

use crate::args::KernelAction;
use crate::error::Error;
use crate::installation::Installation;
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;
use crate::{output, progress};

/// How often the processor is looked at: a thousand times in a boot of some seconds.
const SAMPLE_EVERY: Duration = Duration::from_millis(5);

/// How many functions are listed; the rest is a long tail.
const LISTED: usize = 40;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    #[error("can't read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Symbols(#[from] SymbolError),
    #[error(transparent)]
    Boot(#[from] profile::ProfileError),
}

/// Does it; the exit code is 0.
pub fn kernel(action: KernelAction) -> Result<u8, Error> {
    let text = match action {
        KernelAction::Build { smp: false } => path(&build(Processors::One)?),
        KernelAction::Build { smp: true } => path(&build(Processors::Several)?),
        KernelAction::Profile => {
            let kernel = build(Processors::One)?;
            let installation = Installation::of_user().map_err(launch::Error::new)?;
            report(&boot(&kernel, &installation.cache)?)
        }
    };
    output::print(&text)?;
    Ok(0)
}

fn path(kernel: &Kernel) -> String {
    kernel.vmlinux().display().to_string()
}

fn build(processors: Processors) -> Result<Kernel, Error> {
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let progress = progress::on_stderr();
    let kernel = signals.during(
        |signal| interruption.take(signal, Wish::End),
        || -> Result<_, launch::Error> {
            let installation = Installation::of_user().map_err(launch::Error::new)?;
            Ok(Kernel::find_or_build(
                &installation.cache,
                processors,
                progress.as_ref(),
            )?)
        },
    )?;
    interruption.check()?;
    signals.release()?;
    Ok(kernel?)
}

fn boot(kernel: &Kernel, cache: &Cache) -> Result<Profile, launch::Error> {
    let initrd = initramfs(cache, &NoProgress)?;
    profile_of(kernel, &initrd).map_err(launch::Error::new)
}

fn profile_of(kernel: &Kernel, initrd: &Path) -> Result<Profile, ProfileError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ProfileError::Read { path, source }
    };
    let open = |path: &Path| File::open(path).map_err(unreadable(path));
    let path = kernel.system_map();
    let symbols = fs::read_to_string(&path).map_err(unreadable(&path))?;
    Ok(profile::boot(
        open(&kernel.vmlinux())?,
        &open(initrd)?,
        &Symbols::parse(&symbols)?,
        SAMPLE_EVERY,
    )?)
}

fn report(profile: &Profile) -> String {
    let total_ns = profile.total.as_nanos() as u64;
    let mut text = format!(
        "{} to the first program, {} samples\n\n",
        time(total_ns),
        profile.samples
    );
    for row in profile.rows.iter().take(LISTED) {
        let share = row.time.as_secs_f64() / profile.total.as_secs_f64();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:>5.1} %  {:>8}  {}",
            100.0 * share,
            time(row.time.as_nanos() as u64),
            row.symbol
        );
    }
    text
}
