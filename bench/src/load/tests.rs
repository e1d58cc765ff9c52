use launch::fake::{FakeLauncher, workload};
use launch::{ExitStatus, Launcher, NoProgress};

use super::*;
use crate::Contender;

const LONG: Duration = Duration::from_secs(600);

fn waiting() -> FakeLauncher {
    FakeLauncher::exiting(ExitStatus::Exited(0)).going_on()
}

fn measured(launcher: &FakeLauncher, plan: LoadPlan, interrupt: &Interrupt) -> Load {
    let prepared = launcher.prepare(&workload(), &NoProgress).unwrap();
    let entrant = Entrant {
        contender: Contender::Container,
        prepared: prepared.as_ref(),
        exit_code: None,
        took: Duration::from_millis(1),
    };
    let load = measure(&plan, &[entrant], None, None, &NoProgress, interrupt).unwrap();
    assert_eq!(launcher.alive(), 0, "{load:?}");
    load
}

fn density(launcher: &FakeLauncher, asked: usize, budget: Duration) -> DensityOfWay {
    let plan = LoadPlan {
        density: Some(asked),
        budget,
        ..LoadPlan::default()
    };
    let load = measured(launcher, plan, &Interrupt::default());
    assert_eq!(load.concurrency, None);
    load.density.unwrap().ways.remove(0)
}

fn concurrency(launcher: &FakeLauncher, asked: usize, interrupt: &Interrupt) -> ConcurrencyOfWay {
    let plan = LoadPlan {
        concurrency: Some(asked),
        budget: LONG,
        ..LoadPlan::default()
    };
    let load = measured(launcher, plan, interrupt);
    load.concurrency.unwrap().ways.remove(0)
}

fn instances(way: &DensityOfWay) -> Vec<usize> {
    way.steps.iter().map(|step| step.instances).collect()
}

fn failed(end: &LoadEnd) -> &str {
    match end {
        LoadEnd::Failed { reason } => reason,
        end => panic!("{end:?}"),
    }
}

#[test]
fn as_many_as_were_asked_for_are_kept_running() {
    let way = density(&waiting(), 3, LONG);
    assert_eq!(instances(&way), [0, 1, 2, 3]);
    assert_eq!((way.ran, &way.ended), (3, &LoadEnd::Complete));
    assert!(way.per_instance.is_some());
    let [before, steps @ ..] = &way.steps[..] else {
        panic!("{way:?}");
    };
    assert_eq!(before.launch_ns, None);
    for step in steps {
        assert_eq!(step.launch_ns.unwrap().count, 5);
        // A fake one is charged with two: its own and the kernel's.
        assert_eq!(step.charged_bytes, Some(step.instances as u64 * (2 << 20)));
    }
}

#[test]
fn without_room_for_another_it_ends_there_and_says_why() {
    let way = density(&waiting().room_for(3), 8, LONG);
    assert_eq!(instances(&way), [0, 1, 2]);
    assert_eq!((way.ran, failed(&way.ended)), (3, "there is no room"));
}

#[test]
fn a_command_that_does_not_wait_is_told() {
    let way = density(&FakeLauncher::exiting(ExitStatus::Exited(3)), 8, LONG);
    assert_eq!(way.ran, 1);
    let expected = "the command ended with 3, where it has to go on until it is ended";
    assert_eq!(failed(&way.ended), expected);
}

#[test]
fn without_time_there_is_one_in_any_case() {
    let way = density(&waiting(), 8, Duration::ZERO);
    assert_eq!(instances(&way), [0, 1]);
    assert_eq!(way.ended, LoadEnd::OutOfTime);
}

#[test]
fn all_that_are_launched_at_once_are_there_together() {
    // Each has a place until all have had one.
    let way = concurrency(&waiting().room_for(8), 8, &Interrupt::default());
    assert_eq!((way.each_ns.len(), way.failures), (8, 0));
    assert_eq!(way.ended, LoadEnd::Complete);
    assert!(way.all_there_ns.is_some());
}

#[test]
fn those_that_fail_are_counted() {
    let way = concurrency(&waiting().room_for(3), 8, &Interrupt::default());
    assert_eq!((way.each_ns.len(), way.failures), (3, 5));
    assert_eq!(way.all_there_ns, None);
    assert_eq!(failed(&way.ended), "there is no room");
}

#[test]
fn an_interrupt_ends_all_of_it() {
    let interrupt = Interrupt::default();
    interrupt.raise();
    let plan = LoadPlan {
        density: Some(8),
        concurrency: Some(8),
        freed: Some("log:freed".parse().unwrap()),
        budget: LONG,
    };
    let load = measured(&waiting(), plan, &interrupt);
    assert_eq!(load.density.unwrap().ways[0].ended, LoadEnd::Interrupted);
    let way = &load.concurrency.unwrap().ways[0];
    assert_eq!((way.each_ns.len(), &way.ended), (0, &LoadEnd::Interrupted));
    let way = &load.elasticity.unwrap().ways[0];
    assert_eq!((way.held.len(), &way.ended), (0, &LoadEnd::Interrupted));
}

#[test]
fn a_command_that_ends_before_it_has_freed_anything_is_told() {
    let plan = LoadPlan {
        freed: Some("log:freed".parse().unwrap()),
        ..LoadPlan::default()
    };
    let ended = FakeLauncher::exiting(ExitStatus::Exited(3));
    let load = measured(&ended, plan, &Interrupt::default());
    let way = &load.elasticity.unwrap().ways[0];
    let expected = "the command ended with 3, where it has to go on until it is ended";
    assert_eq!(failed(&way.ended), expected);
}

#[test]
fn what_is_back_is_a_share_of_what_was_taken() {
    let held = |(seconds, mib): (u64, u64)| Held {
        after_ns: seconds * 1_000_000_000 + 1,
        charged_bytes: mib << 20,
    };
    let way = ElasticityOfWay {
        contender: Contender::VmWarm,
        at_main_bytes: Some(10 << 20),
        most_bytes: Some(30 << 20),
        held: vec![held((0, 30)), held((5, 20)), held((30, 9))],
        ended: LoadEnd::Complete,
    };
    let returned = [0, 5, 30, 31].map(|seconds| way.returned_percent(seconds));
    assert_eq!(returned, [Some(0.0), Some(50.0), Some(105.0), None]);
    let did_not_grow = ElasticityOfWay {
        at_main_bytes: way.most_bytes,
        ..way
    };
    assert_eq!(did_not_grow.returned_percent(0), None);
}
