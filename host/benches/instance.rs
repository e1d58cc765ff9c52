//! What it takes to make an instance's directory and cgroup and to remove them, by step: the
//! least, the median and the 90th percentile, in microseconds.
//!
//! `cargo bench -p jaula-host`; another number of runs by `-- RUNS`. The steps run one after
//! another in one process, without a process in the cgroup. The run directory is in `TMPDIR`: a
//! tmpfs is what it usually is on.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use host::RunDir;
use host::cgroup::{DeviceRules, Extras};
use launch::Resources;

fn main() -> Result<(), Box<dyn Error>> {
    let runs = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(200);
    let scratch = tempfile::tempdir()?;
    let run = RunDir::at(scratch.path().join("run"))?;
    let limited = Resources {
        memory: Some("64m".parse()?),
        cpus: Some("1".parse()?),
        pids: Some("64".parse()?),
        ..Resources::default()
    };
    let statistics = Extras {
        statistics: true,
        freezer: true,
        ..Extras::default()
    };
    let devices = Extras {
        devices: Some(DeviceRules::usual()),
        ..Extras::default()
    };
    let none = Resources::default();
    for (name, resources, extras) in [
        ("no limits", &none, &Extras::default()),
        ("-m --cpus --pids-limit", &limited, &Extras::default()),
        ("statistics and freezer", &none, &statistics),
        ("devices", &none, &devices),
    ] {
        let mut steps = Steps::default();
        for _ in 0..runs {
            let dir = steps.time("1 directory", || run.create(None))?;
            let placement = steps.time("2 cgroup", || dir.make_cgroup(resources, extras))?;
            if let Some(cgroup) = placement.cgroup() {
                steps.time("3 entrance", || cgroup.entrance())?;
            }
            steps.time("4 remove cgroup", || drop(placement));
            steps.time("5 remove directory", || dir.remove())?;
        }
        steps.print(name);
    }
    Ok(())
}

#[derive(Default)]
struct Steps(BTreeMap<&'static str, Vec<u64>>);

impl Steps {
    fn time<T>(&mut self, step: &'static str, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = act();
        let taken = start.elapsed();
        self.0
            .entry(step)
            .or_default()
            .push(taken.as_nanos() as u64);
        result
    }

    fn print(mut self, name: &str) {
        println!("{name}");
        for (step, taken) in &mut self.0 {
            taken.sort_unstable();
            let at = |percent: usize| taken[taken.len() * percent / 100] as f64 / 1000.0;
            println!("  {step:24} {:8.1} {:8.1} {:8.1}", at(0), at(50), at(90));
        }
    }
}
