use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use launch::{Launcher, Progress, Side, Workload};

use crate::measure::{MeasureError, measure};
use crate::{Comparison, Difference, Environment, Interrupt, Sides, WorkloadFacts};

/// Why there is no comparison. A launcher that fails while it runs the workload is not such a
/// reason: it is in the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A side can't run this workload at all.
    #[error("the {side} can't be prepared")]
    Prepare {
        /// Which side.
        side: Side,
        /// Why.
        source: launch::Error,
    },
    /// What the command reads can't be opened.
    #[error("standard input can't be opened")]
    Stdin(#[source] io::Error),
    /// A run could not be measured.
    #[error("the {side} can't be measured")]
    Measure {
        /// Which side.
        side: Side,
        /// Why.
        source: MeasureError,
    },
    /// The interrupt was raised.
    #[error("interrupted")]
    Interrupted,
}

/// What is compared, and how.
pub struct Plan<'a> {
    /// The two sides.
    pub launchers: Sides<&'a dyn Launcher>,
    /// What runs on both.
    pub workload: &'a Workload,
    /// What the command reads, from the file's beginning on each side; nothing if `None`.
    pub stdin: Option<&'a File>,
    /// Where it runs, for the report.
    pub environment: Environment,
}

/// Runs the workload once on each side, one after the other, and compares what came of it.
///
/// Both sides are prepared before either is launched, so that the second one's preparation does
/// not disturb the first one's run.
///
/// # Errors
///
/// When a side can't be prepared or measured, or `interrupt` was raised. Nothing is left
/// running.
pub fn compare(
    plan: Plan<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Comparison, Error> {
    let prepared = Sides::try_of(|side| {
        plan.launchers
            .get(side)
            .prepare(plan.workload, progress)
            .map_err(|source| Error::Prepare { side, source })
    })?;
    let sides = Sides::try_of(|side| {
        let stdin = open_stdin(plan.stdin).map_err(Error::Stdin)?;
        measure(side, prepared.get(side).as_ref(), stdin, interrupt).map_err(|error| match error {
            MeasureError::Interrupted => Error::Interrupted,
            source => Error::Measure { side, source },
        })
    })?;
    Ok(Comparison {
        workload: WorkloadFacts::from(plan.workload),
        environment: plan.environment,
        stdout_difference: Difference::between(sides.as_ref().map(|report| &report.stdout)),
        stderr_difference: Difference::between(sides.as_ref().map(|report| &report.stderr)),
        sides,
    })
}

/// Opens `file` anew, so that each side has a position of its own in it.
fn open_stdin(file: Option<&File>) -> io::Result<OwnedFd> {
    let opened = match file {
        Some(file) => File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?,
        None => File::open("/dev/null")?,
    };
    Ok(opened.into())
}

#[cfg(test)]
mod tests {
    use launch::fake::{FakeLauncher, workload};
    use launch::{ExitStatus, NoProgress, Prepared};

    use super::*;
    use crate::{FootprintMoment, FootprintReading, Outcome};

    fn environment() -> Environment {
        Environment::of_this_host(None)
    }

    fn run(container: &FakeLauncher, vm: &FakeLauncher) -> Comparison {
        let plan = Plan {
            launchers: Sides { container, vm },
            workload: &workload(),
            stdin: None,
            environment: environment(),
        };
        compare(plan, &NoProgress, &Interrupt::default()).unwrap()
    }

    fn exiting(code: u8) -> FakeLauncher {
        FakeLauncher::exiting(ExitStatus::Exited(code))
    }

    #[test]
    fn each_side_is_reported_with_its_own_figures() {
        let comparison = run(
            &exiting(0).spans([("mounts", 2_000), ("exec", 3_000)]),
            &exiting(7).on(Side::Vm).spans([("kernel boot", 9_000)]),
        );
        let Sides { container, vm } = comparison.sides;
        assert_eq!(container.side, Side::Container);
        assert_eq!(container.launch_to_main_ns, Some(5_000));
        assert_eq!(container.launch_to_exit_ns, Some(1_005_000));
        assert_eq!(vm.side, Side::Vm);
        assert_eq!(vm.launch_to_main_ns, Some(9_000));
        assert_eq!(
            vm.outcome,
            Outcome::Ended {
                status: ExitStatus::Exited(7),
                exit_code: 7
            }
        );
    }

    #[test]
    fn outputs_are_captured_and_compared_stream_by_stream() {
        let comparison = run(
            &exiting(0).stdout("6.18\nsame\n").stderr("oops\n"),
            &exiting(0).stdout("6.12\nsame\n").stderr("oops\n"),
        );
        assert_eq!(comparison.sides.container.stdout.text, "6.18\nsame\n");
        assert_eq!(comparison.stdout_difference.hunks.len(), 1);
        assert_eq!(comparison.stdout_difference.equal_lines, 1);
        assert!(comparison.stderr_difference.identical);
    }

    #[test]
    fn a_footprint_of_an_ended_instance_says_so() {
        let comparison = run(&exiting(0), &exiting(0));
        assert!(matches!(
            comparison.sides.vm.footprint,
            FootprintReading::Taken {
                moment: FootprintMoment::AfterExit,
                ..
            }
        ));
    }

    #[test]
    fn a_side_that_fails_is_reported_beside_one_that_does_not() {
        let comparison = run(&exiting(0), &FakeLauncher::failing("the guest panicked"));
        assert_eq!(
            comparison.sides.vm.outcome,
            Outcome::Failed {
                error: "the guest panicked".into(),
                remedy: None
            }
        );
        assert!(matches!(
            comparison.sides.container.outcome,
            Outcome::Ended { .. }
        ));
    }

    #[test]
    fn nothing_is_launched_after_an_interrupt() {
        let interrupt = Interrupt::default();
        interrupt.raise();
        let fake = exiting(0);
        let plan = Plan {
            launchers: Sides {
                container: &fake,
                vm: &fake,
            },
            workload: &workload(),
            stdin: None,
            environment: environment(),
        };
        let result = compare(plan, &NoProgress, &interrupt);
        assert!(matches!(result, Err(Error::Interrupted)));
    }

    #[test]
    fn a_side_that_cant_be_prepared_is_named() {
        struct Unable;
        impl Launcher for Unable {
            fn side(&self) -> Side {
                Side::Vm
            }
            fn probe(&self) -> Vec<launch::Finding> {
                Vec::new()
            }
            fn prepare(
                &self,
                _workload: &Workload,
                _progress: &dyn Progress,
            ) -> Result<Box<dyn Prepared>, launch::Error> {
                Err(launch::Error::new("no kernel"))
            }
        }
        let plan = Plan {
            launchers: Sides {
                container: &exiting(0),
                vm: &Unable,
            },
            workload: &workload(),
            stdin: None,
            environment: environment(),
        };
        let error = compare(plan, &NoProgress, &Interrupt::default()).unwrap_err();
        assert_eq!(error.to_string(), "the vm can't be prepared");
    }

    #[test]
    fn both_sides_read_the_same_input_from_its_beginning() {
        use std::io::{Read, Write};
        let path = std::env::temp_dir().join(format!("jaula-bench-stdin-{}", std::process::id()));
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"input").unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            File::from(open_stdin(Some(&file)).unwrap())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, "input");
        }
    }

    #[test]
    fn a_comparison_survives_json() {
        let comparison = run(&exiting(0).stdout("a"), &FakeLauncher::failing("x"));
        let json = serde_json::to_string(&comparison).unwrap();
        assert_eq!(
            serde_json::from_str::<Comparison>(&json).unwrap(),
            comparison
        );
    }
}
