//! Who else runs the same.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use bench::processes::{self, Error::Unsupported, RunAs};
use bench::{Contender, Metric, Opponent, Other, Way};
use launch::{Prepared, Progress, Workload};
use vmm::VmLauncher;

use crate::args::CompareArgs;

/// Another runner is asked for, and none of what it could be timed by.
#[derive(Debug, thiserror::Error)]
#[error("nothing of what is to be measured can be told of {0}")]
struct NothingToTime(Contender);

/// Nobody is asked for, and somebody.
#[derive(Debug, thiserror::Error)]
#[error("--against none is nobody, and others are named beside it")]
struct NobodyAndOthers;

/// Nobody has said that the image may run without anything that holds it.
#[derive(Debug, thiserror::Error)]
#[error("nothing would hold it, and its image is not of this machine")]
struct Foreign;

/// Refuses what would come to nothing.
pub fn check(args: &CompareArgs, metrics: &[Metric]) -> Result<(), launch::Error> {
    if args.against.contains(&Opponent::Nobody) && args.against.len() > 1 {
        return Err(
            launch::Error::new(NobodyAndOthers).with_remedy("leave out none, or the others")
        );
    }
    let runners = args.against.iter().filter_map(|it| match it {
        Opponent::Peer(peer) => Some(Contender::Peer(*peer)),
        Opponent::Qemu => Some(Contender::Qemu),
        Opponent::Jaula => Some(Contender::JaulaRun),
        Opponent::Host | Opponent::Nobody => None,
    });
    let is_timed = |runner: Contender| metrics.iter().any(|it| runner.has(*it));
    let mut not_timed = runners.filter(|runner| !is_timed(*runner));
    if let Some(runner) = not_timed.next()
        && !args.measuring.figures()
    {
        let remedy = match args.measuring.goes_on() {
            true => "give --ready",
            false => "add exit to --metrics",
        };
        return Err(launch::Error::new(NothingToTime(runner)).with_remedy(remedy));
    }
    Ok(())
}

/// Makes ready those that were asked for; another monitor for the guests of `vm`. What one leaves is on
/// record in `run_dir`. One that can't be made ready is in the report with the reason.
///
/// # Errors
///
/// When this program can't be found, to be timed as a whole process beside other runners.
pub fn prepare(
    args: &CompareArgs,
    metrics: &[Metric],
    workload: &Workload,
    vm: &VmLauncher,
    run_dir: &Path,
    progress: &dyn Progress,
) -> io::Result<Vec<Other>> {
    let mut others = Vec::new();
    let asked = |opponent| args.against.contains(&opponent);
    others.extend(
        Baseline::of(args, metrics)
            .prepare(workload)
            .map(|prepared| Other {
                contender: Contender::HostProcess,
                prepared,
            }),
    );
    let peers = bench::Peer::ALL.into_iter();
    let peers: Vec<_> = peers.filter(|peer| asked(Opponent::Peer(*peer))).collect();
    let ways: &[Way] = match (asked(Opponent::Jaula), peers.is_empty()) {
        (true, _) => &[Way::Container, Way::VmCold, Way::VmWarm],
        (false, false) => &[Way::Container],
        (false, true) => &[],
    };
    for &way in ways {
        let line = run_line(args.words(), args.workload.words().len(), way);
        others.push(Other {
            contender: Contender::jaula_run(way),
            prepared: Ok(processes::whole(env::current_exe()?.into(), line)),
        });
    }
    others.extend(peers.into_iter().map(|peer| Other {
        contender: Contender::Peer(peer),
        prepared: processes::peer(peer, workload, run_dir),
    }));
    if asked(Opponent::Qemu) {
        others.push(Other {
            contender: Contender::Qemu,
            prepared: processes::qemu(vm, workload, progress),
        });
    }
    Ok(others)
}

/// How a plain process of the host takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Baseline {
    /// Not at all: nobody wants it, or there is nothing to time of it.
    None,
    /// As the user of the workload: somebody asked for it.
    User,
    /// As a user without rights, of itself.
    Nobody,
    /// It would of itself, but for the image.
    Foreign,
}

impl Baseline {
    fn of(args: &CompareArgs, metrics: &[Metric]) -> Self {
        let has_times = || metrics.iter().any(|it| Contender::HostProcess.has(*it));
        if args.against.contains(&Opponent::Host) {
            Self::User
        } else if args.against.contains(&Opponent::Nobody)
            || args.measuring.runs == 0
            || !(args.measuring.figures() || has_times())
        {
            Self::None
        } else if args.workload.is_image_of_this_machine() {
            Self::Nobody
        } else {
            Self::Foreign
        }
    }

    fn prepare(self, workload: &Workload) -> Option<Result<Box<dyn Prepared>, launch::Error>> {
        let prepared = |run_as| processes::host_process(workload, run_as);
        Some(match self {
            Self::None => return None,
            Self::User => prepared(RunAs::User).map_err(Into::into),
            Self::Nobody => prepared(RunAs::Nobody).map_err(|error| match error {
                // Nobody named it: there is nothing to be left out.
                Unsupported(_) => launch::Error::new(error),
                error => error.into(),
            }),
            Self::Foreign => Err(launch::Error::new(Foreign)
                .with_remedy("name it with --against host if you trust the image")),
        })
    }
}

/// Flags of `compare` that `run` does not have.
const OWN: [&str; 12] = [
    "--json",
    "--against",
    "--runs",
    "--warmup",
    "--budget-time",
    "--metrics",
    "--seed",
    "--ready",
    "--html",
    "--density",
    "--concurrency",
    "--freed",
];

/// The flags that take no value in a word of its own.
const ALONE: &str = "--json";

/// Flags that mean nothing to a container, and that `run` refuses with one.
const OF_VMS: [&str; 2] = ["--kernel", "--append"];

/// What makes `jaula run` do what `line`, which follows a `jaula compare`, does this way. The last
/// `words` of it are the image and the command, in which a flag is not one of ours.
fn run_line(line: Vec<OsString>, words: usize, way: Way) -> Vec<OsString> {
    let (flags, words) = line.split_at(line.len().saturating_sub(words));
    let (of_way, left_out): (&[&str], &[&str]) = match way {
        Way::Container => (&[], &OF_VMS),
        Way::VmCold => (&["--as=vm", "--start=cold"], &[]),
        Way::VmWarm => (&["--as=vm", "--start=warm"], &[]),
    };
    let mut run: Vec<_> = of_way.iter().map(OsString::from).collect();
    let left_out: Vec<_> = OWN.iter().chain(left_out).collect();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        if left_out.iter().any(|own| flag == OsStr::new(own)) {
            if flag != OsStr::new(ALONE) {
                flags.next();
            }
            continue;
        }
        let is_own = |own: &&str| {
            let bytes = flag.as_encoded_bytes();
            bytes
                .strip_prefix(own.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"="))
        };
        if !left_out.iter().copied().any(is_own) {
            run.push(flag.clone());
        }
    }
    run.extend(words.iter().cloned());
    run
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn a_vm_boots_what_a_container_is_not_told_of() {
        let line = ["--kernel=k", "--runs", "3", "b"].map(OsString::from);
        let words = run_line(line.to_vec(), 1, Way::VmWarm);
        assert_eq!(words, ["--as=vm", "--start=warm", "--kernel=k", "b"]);
    }

    #[test]
    fn a_comparison_is_run_one_way() {
        for (line, words, run) in [
            ("busybox true", 2, "busybox true"),
            (
                "--json -m 64m --runs 5 --seed=7 -e A=b busybox x --runs 5",
                4,
                "-m 64m -e A=b busybox x --runs 5",
            ),
            (
                "--against=runc --metrics exit --rootfs /r -- ls",
                1,
                "--rootfs /r -- ls",
            ),
            ("--warmup 1 --budget-time 9s -i b", 1, "-i b"),
            ("--kernel k --append=quiet b", 1, "b"),
        ] {
            let line = line.split(' ').map(OsString::from).collect();
            let words = run_line(line, words, Way::Container);
            assert_eq!(words.join(OsStr::new(" ")), run);
        }
    }

    #[test]
    fn a_host_process_takes_part_where_it_can_do_no_harm_and_where_it_is_named() {
        for (line, expected) in [
            ("busybox true", Baseline::Nobody),
            ("--against runc probe hash", Baseline::Nobody),
            ("--metrics=figures probe hash", Baseline::Nobody),
            ("program:sqlite3", Baseline::Nobody),
            ("--against jaula busybox true", Baseline::Nobody),
            ("--against none busybox true", Baseline::None),
            ("--runs 0 busybox true", Baseline::None),
            ("--metrics cpu busybox true", Baseline::None),
            ("debian:12 true", Baseline::Foreign),
            ("./root true", Baseline::Foreign),
            ("--rootfs /srv/root busybox", Baseline::Foreign),
            ("--against host debian:12 true", Baseline::User),
            ("--against host,crun busybox true", Baseline::User),
        ] {
            let words = line.split(' ').map(str::to_owned).collect();
            let args = CompareArgs::of_words(words).unwrap();
            let metrics = args.measuring.metrics().unwrap();
            assert_eq!(Baseline::of(&args, &metrics), expected, "{line}");
        }
    }

    #[test]
    fn every_flag_that_run_does_not_have_is_known_as_one() {
        let cli = Cli::command();
        let flags = |name: &str| {
            let command = cli.find_subcommand(name).unwrap();
            let longs = command.get_arguments().filter_map(|it| it.get_long());
            longs.map(|long| format!("--{long}")).collect::<Vec<_>>()
        };
        let of_run = flags("run");
        let mut own = flags("compare");
        own.retain(|flag| !of_run.contains(flag));
        own.sort_unstable();
        let mut known = OWN.to_vec();
        known.sort_unstable();
        assert_eq!(own, known);
    }
}
