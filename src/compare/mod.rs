//! `jaula compare`: every way, one after the other, and what differs.

mod opponents;

use std::cell::OnceCell;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use bench::floors::Floors;
use bench::load::LoadPlan;
use bench::{
    Comparison, Environment, FileSystem, Interrupt, Metric, Plan, Programs, Readiness, SeriesPlan,
    Ways, html, table,
};
use guest_images::{Cache, Kernel, Processors};
use launch::{Digest, ExitStatus, Network, Progress};
use nix::sys::signal::Signal;
use vmm::{GuestKernel, StartMode};

use crate::args::{CompareArgs, MeasuringArgs};
use crate::error::Error;
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;
use crate::workload::{self, Typed};
use crate::{installation, output, progress};

/// Compares and prints; the exit code says whether all could run the command.
pub fn compare(args: &CompareArgs) -> Result<u8, Error> {
    // Before signals are held: a user who types it may call it off as usual.
    let stdin = if args.workload.process.interactive {
        Some(keep_stdin()?)
    } else {
        None
    };
    let page = args.html.as_deref().map(Page::open).transpose()?;
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let interrupt = Interrupt::default();
    let progress = progress::on_stderr();
    let comparison = signals.during(
        |signal| call_off(signal, &interrupt, &interruption, Wish::End),
        || {
            let (stdin, before) = (stdin.as_ref(), Before::default());
            measure(args, stdin, &before, progress.as_ref(), &interrupt)
        },
    )?;
    let comparison = match comparison {
        Ok(comparison) => comparison,
        Err(error) => {
            interruption.check()?;
            return Err(error.into());
        }
    };
    print(args, &comparison)?;
    if let Some(page) = page {
        page.write(&html::render(&comparison))?;
    }
    // What was timed until then is on the screen.
    interruption.check()?;
    Ok(exit_code(&comparison))
}

/// The first signal ends timed runs, which are reported then; before there are any, and when another
/// one is a further wish, it ends all, or what `wish` says.
pub fn call_off(signal: Signal, interrupt: &Interrupt, interruption: &Interruption, wish: Wish) {
    if interrupt.holds_results() && !interrupt.is_raised() {
        if interruption.note(signal) {
            interrupt.raise();
        }
    } else {
        interrupt.raise();
        interruption.take(signal, wish);
    }
}

/// Where the HTML goes. It is opened before hours of measuring, and written to after them.
pub struct Page<'a> {
    path: &'a Path,
    file: File,
}

/// The report can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}", path.display())]
struct PageError {
    path: PathBuf,
    source: io::Error,
}

impl<'a> Page<'a> {
    /// Opens it, or makes it.
    pub fn open(path: &'a Path) -> Result<Self, launch::Error> {
        // What is there stays until there is something better.
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = file.map_err(|source| Self::error(path, source))?;
        Ok(Self { path, file })
    }

    /// Puts a report in the place of what is there.
    pub fn write(mut self, text: &str) -> Result<(), launch::Error> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|source| Self::error(self.path, source))
    }

    fn error(path: &Path, source: io::Error) -> launch::Error {
        launch::Error::new(PageError {
            path: path.to_owned(),
            source,
        })
    }
}

fn print(args: &CompareArgs, comparison: &Comparison) -> Result<(), Error> {
    let text = if args.json {
        serde_json::to_string_pretty(comparison).map_err(launch::Error::new)?
    } else {
        table::render(comparison, output::width())
    };
    Ok(output::print(&text)?)
}

/// What is known of the host before anything is compared, of all workloads of a suite.
#[derive(Default)]
pub struct Before {
    floors: OnceCell<Floors>,
    load_milli: OnceCell<Option<u32>>,
}

impl Before {
    /// What the kernel takes at least.
    fn floors(&self) -> Floors {
        let measure = || Floors::measure(vmm::kvm::open().ok().as_ref());
        self.floors.get_or_init(measure).clone()
    }

    /// The load of others: what is there `now`, unless it was asked before. Later it is that of the
    /// workload before.
    fn load_milli(&self, now: Option<u32>) -> Option<u32> {
        *self.load_milli.get_or_init(|| now)
    }
}

/// Compares as these flags say.
pub fn measure(
    args: &CompareArgs,
    stdin: Option<&File>,
    before: &Before,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Comparison, launch::Error> {
    let metrics = args.measuring.metrics()?;
    opponents::check(args, &metrics)?;
    if args.measuring.launches_many() && args.workload.name.is_some() {
        return Err(launch::Error::new(OneName).with_remedy("leave out --name"));
    }
    let boot = &args.workload.boot;
    (boot.check_command())
        .map_err(|error| launch::Error::new(error).with_remedy("leave it out"))?;
    let Typed {
        installation,
        mut workload,
        held: _held,
    } = workload::prepare(&args.workload, None, progress)?;
    // Where processor time is only counted in a cgroup that is made for it, this makes one.
    workload.supervised |= metrics.contains(&Metric::Cpu) || metrics.contains(&Metric::Idle);
    let needs_network = args.measuring.ready.as_ref();
    if needs_network.is_some_and(Readiness::needs_network)
        && !matches!(workload.network, Network::Bridge { .. })
    {
        return Err(launch::Error::new(Unreachable).with_remedy("give --network bridge"));
    }
    let boot = boot.guest();
    // Before anything else of ours runs.
    let mut environment = Environment::of_this_host(installation::ring0());
    environment.host.load_milli = before.load_milli(environment.host.load_milli);
    if args.measuring.runs > 0 {
        environment.floors = before.floors();
    }
    let vm_cold = installation.vm(boot.clone(), StartMode::Cold);
    let plan = Plan {
        launchers: Ways {
            container: &installation.container(),
            vm_cold: &vm_cold,
            vm_warm: &installation.vm(boot.clone(), StartMode::Warm),
        },
        workload: &workload,
        stdin,
        others: opponents::prepare(
            args,
            &metrics,
            &workload,
            &vm_cold,
            installation.run_dir(),
            progress,
        )?,
        environment,
        series: series_plan(&args.measuring, metrics),
        load: load_plan(&args.measuring),
    };
    let mut comparison = bench::compare(plan, progress, interrupt).map_err(launch::Error::new)?;
    // Afterwards there is a kernel, if any VM ran.
    let guest_kernel = match &boot.kernel {
        GuestKernel::File(path) => bench::file_sha256(path).ok(),
        GuestKernel::BuiltIn => {
            built_in_kernel(&installation.cache, Processors::of(workload.resources.cpus))
        }
    };
    comparison.environment.programs = Programs::this(guest_kernel);
    comparison.environment.image_file_system = FileSystem::of(workload.root.layers.top());
    Ok(comparison)
}

fn built_in_kernel(cache: &Cache, processors: Processors) -> Option<Digest> {
    bench::file_sha256(&Kernel::find(cache, processors).ok()??.vmlinux()).ok()
}

/// It is asked for an answer over the network and has none.
#[derive(Debug, thiserror::Error)]
#[error("what is not on a bridge can't be asked whether it is ready")]
struct Unreachable;

/// Many are to be there at once, and no two can have the same name.
#[derive(Debug, thiserror::Error)]
#[error("many instances can't have one name")]
struct OneName;

fn load_plan(args: &MeasuringArgs) -> LoadPlan {
    LoadPlan {
        density: args.density,
        concurrency: args.concurrency,
        freed: args.freed.clone(),
        budget: args.budget_time,
    }
}

fn series_plan(args: &MeasuringArgs, metrics: Vec<Metric>) -> SeriesPlan {
    SeriesPlan {
        runs: args.runs,
        warm_up: args.warmup,
        budget: args.budget_time,
        metrics,
        figures: args.figures(),
        readiness: args.ready.clone(),
        goes_on: args.goes_on(),
        seed: args.seed.unwrap_or_else(any_seed),
    }
}

/// Another one each time; short enough to be typed.
fn any_seed() -> u64 {
    // The keys of a hash map are random numbers of the system's.
    RandomState::new().build_hasher().finish() >> 32
}

/// All of standard input in a file without a name, as each run reads it from its beginning.
fn keep_stdin() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// 0 when it ran each way and ended alike, whatever the command's exit code.
pub fn exit_code(comparison: &Comparison) -> u8 {
    let container = &comparison.ways.container.outcome;
    let reports = comparison.ways.as_ref().into_array();
    if reports.iter().all(|it| it.outcome.is_like(container)) {
        0
    } else {
        ExitStatus::LAUNCHER_FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_of_a_workload_before_is_not_that_of_others() {
        let before = Before::default();
        assert_eq!(before.load_milli(Some(10)), Some(10));
        assert_eq!(before.load_milli(Some(2_000)), Some(10));
    }
}
