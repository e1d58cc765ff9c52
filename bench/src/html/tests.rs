use launch::fake::workload;
use launch::{Charge, ExitStatus, Footprint, GuestMemory, MonotonicNs, Span, Surface};

use super::*;
use crate::load::{
    Concurrency, ConcurrencyOfWay, Density, DensityOfWay, DensityStep, Elasticity, ElasticityOfWay,
    Held, Load, LoadEnd, PerInstance,
};
use crate::statistics::{Interval, Summary};
use crate::{
    Captured, Count, DiskUse, Durability, Ended, Environment, Figure, FootprintMoment,
    FootprintReading, Isolation, Metric, Observed, ObservedReading, Outcome, OwnDisk, Reported,
    Sample, SampleOutcome, Series, Warning, Way, WayReport, Ways, WorkloadFacts,
};

fn spans(way: Way) -> Vec<Span> {
    let spans: &[(&'static str, u64)] = match way {
        Way::Container => &[
            ("clone", 600_000),
            ("mounts", 900_000),
            ("exec", 200_000),
            ("run", 50_000_000),
        ],
        Way::VmCold => &[("create", 2_000_000), ("kernel boot", 6_000_000_000)],
        Way::VmWarm => &[("restore", 3_000_000), ("root mount", 200_000_000)],
    };
    let span = |&(name, duration_ns): &(&'static str, u64)| Span {
        name: name.into(),
        duration_ns,
    };
    spans.iter().map(span).collect()
}

fn report(way: Way) -> WayReport {
    WayReport {
        way,
        outcome: Outcome::Ended {
            status: ExitStatus::Exited(0),
            exit_code: 0,
        },
        launch_to_main_ns: Some(1_700_000),
        launch_to_ready_ns: None,
        launch_to_exit_ns: Some(2_000_000),
        spans: spans(way),
        footprint: FootprintReading::Taken {
            moment: FootprintMoment::TwoSecondsAfterMain,
            footprint: Footprint {
                charge: Charge::CgroupV1,
                current_bytes: 3 << 20,
                peak_bytes: 4 << 20,
                anon_bytes: 1 << 20,
                file_bytes: 1 << 19,
                kernel_bytes: 1 << 18,
                page_tables_bytes: None,
                kvm_page_tables_bytes: None,
            },
            pss_bytes: Some(5 << 18),
            guest_memory: (way != Way::Container).then_some(GuestMemory {
                granted_bytes: 120 << 20,
                left_bytes: 97 << 20,
            }),
        },
        disk: Some(DiskUse {
            image_bytes: 5 << 20,
            fixed_bytes: 7 << 20,
            template_bytes: (way == Way::VmWarm).then_some(30 << 20),
            own: Some(OwnDisk {
                at_start_bytes: 4096,
                at_end_bytes: 8192,
                file_system: Some("tmpfs".into()),
                volumes_at_start_bytes: 0,
                volumes_at_end_bytes: 100 << 20,
            }),
        }),
        isolation: Some(Isolation {
            surface: Surface {
                is_kernel_shared: way == Way::Container,
                allowed_calls: (way != Way::Container).then_some(67),
                kvm_ioctls: 19,
                emulated_devices: 9,
                capabilities: 0,
                namespaces: 5,
            },
            trusted_lines: 12_345,
            observed: ObservedReading::Taken(Observed {
                watched_ns: 1_000_000_000,
                calls: vec![Count {
                    name: "read".into(),
                    times: 12,
                }],
                exits_to_monitor: (way != Way::Container).then(|| {
                    vec![Count {
                        name: "mmio".into(),
                        times: 34,
                    }]
                }),
                exits_of_processor: None,
                lost: 0,
            }),
        }),
        stdout: Captured {
            text: "<script>alert(1)</script>\u{1b}[2J".into(),
            total_bytes: 30,
            ..Captured::nothing()
        },
        stderr: Captured::nothing(),
        reported: None,
    }
}

fn sample(way: Way, order: usize) -> Sample {
    let total: u64 = spans(way).iter().map(|span| span.duration_ns).sum();
    Sample {
        contender: way.into(),
        order,
        round: order / 3,
        is_warm_up: false,
        started_at: MonotonicNs(order as u64),
        outcome: match order {
            4 => SampleOutcome::Failed {
                reason: "it did not answer".into(),
            },
            _ => SampleOutcome::Reached,
        },
        launch_to_main_ns: Some(total + order as u64 * 10_000),
        launch_to_ready_ns: None,
        launch_to_exit_ns: None,
        exit_to_gone_ns: None,
        memory_bytes: None,
        cpu_ns: None,
        idle_cpu_ns: None,
        kill_to_exit_ns: None,
        spans: spans(way),
        reported: Some(reported(way, order as u64)),
    }
}

fn reported(way: Way, order: u64) -> Reported {
    let figure = |name: &str, p50_ns| Figure {
        name: name.into(),
        values: 1000,
        batch: 1,
        p50_ns,
        p99_ns: Some(2 * p50_ns),
        quantiles_ns: vec![p50_ns / 2, p50_ns, 3 * p50_ns],
        until_ns: None,
        cpu_ns: Some(3 * p50_ns),
    };
    let getppid = match way {
        Way::Container => 100 + order,
        Way::VmCold | Way::VmWarm => 130_000 + order,
    };
    Reported {
        figures: vec![figure("getppid", getppid), figure("clock-read", 23)],
        took_ns: 1_000_000_000,
        host_ns: 1_010_000_000,
    }
}

fn load() -> Load {
    let step = |(instances, available_mib): (usize, u64)| DensityStep {
        instances,
        available_bytes: available_mib << 20,
        is_settled: true,
        charged_bytes: None,
        launch_ns: Summary::of(&[1_700_000]),
    };
    let of_way = |contender, steps: &[(usize, u64)], ended| DensityOfWay {
        contender,
        steps: steps.iter().map(|it| step(*it)).collect(),
        per_instance: Some(PerInstance {
            mib: 31.0,
            interval_mib: Some(Interval {
                low: 30.0,
                high: 32.0,
            }),
        }),
        charged_per_instance: None,
        ran: steps.last().unwrap().0,
        ended,
    };
    let at_once = |contender, each_ns: &[u64]| ConcurrencyOfWay {
        contender,
        each_ns: each_ns.to_vec(),
        summary: Summary::of(each_ns),
        all_there_ns: each_ns.last().copied(),
        failures: 0,
        ended: LoadEnd::Complete,
    };
    let freed = |contender, back_after: u64| ElasticityOfWay {
        contender,
        at_main_bytes: Some(10 << 20),
        most_bytes: Some(26 << 20),
        held: (0..=60)
            .map(|step| Held {
                after_ns: step * 500_000_000,
                charged_bytes: if step < back_after {
                    26 << 20
                } else {
                    10 << 20
                },
            })
            .collect(),
        ended: LoadEnd::Complete,
    };
    let steps = [(0, 9_000), (1, 8_969), (2, 8_938), (4, 8_876)];
    Load {
        density: Some(Density {
            asked: 4,
            metric: Metric::Main,
            ways: vec![
                of_way(
                    Contender::Container,
                    &steps.map(|(n, _)| (n, 9_000 - n as u64)),
                    LoadEnd::Complete,
                ),
                of_way(Contender::VmCold, &steps[..2], LoadEnd::OutOfTime),
                of_way(Contender::VmWarm, &steps, LoadEnd::Complete),
            ],
        }),
        concurrency: Some(Concurrency {
            asked: 3,
            metric: Metric::Main,
            ways: vec![
                at_once(Contender::Container, &[4_000_000, 5_000_000, 7_000_000]),
                at_once(Contender::VmWarm, &[300_000_000, 400_000_000, 500_000_000]),
            ],
        }),
        elasticity: Some(Elasticity {
            ways: vec![freed(Contender::Container, 0), freed(Contender::VmWarm, 30)],
        }),
    }
}

pub(crate) fn comparison() -> Comparison {
    let ways = [Way::Container, Way::VmCold, Way::VmWarm];
    let series = Series {
        seed: 7,
        runs_asked: 8,
        rounds: 8,
        metrics: vec![Metric::Main],
        budget_ns: 60_000_000_000,
        took_ns: 50_000_000_000,
        ended: Ended::OutOfTime,
        samples: (0..24)
            .map(|order| sample(ways[order % 3], order))
            .collect(),
    };
    let contenders = ways.map(Contender::from);
    Comparison {
        workload: WorkloadFacts::from(&workload()),
        environment: Environment::of_this_host(None),
        ways: Ways::try_of(|way| Ok::<_, ()>(report(way))).unwrap(),
        stdout_differences: Vec::new(),
        stderr_differences: Vec::new(),
        others: Vec::new(),
        warnings: vec![Warning {
            id: "W06".into(),
            detail: "only 8 runs".into(),
        }],
        results: crate::results::of_series(&series, &contenders),
        durability: Durability::of(&launch::fake::workload()).into(),
        figures: crate::reported::of_series(&series, &contenders),
        series: Some(series),
        load: load(),
    }
}

#[test]
fn the_page_says_what_each_way_costs() {
    let page = render(&comparison());
    for text in [
        "launch to main",
        "slower than the container",
        "vm cold",
        "vm warm",
        "kernel boot, 6.00 s",
        // To main: the command's own time is not the start's.
        "container: 1.70 ms, most of it in mounts",
        "There was no time for 8 runs of each in 60.0 s",
        "bootstrap",
        "only 8 runs.",
        "a middle alone hides",
        "getppid: vm cold: 1161 times the container, vm warm: 1171 times the container",
        "vm warm: p50 130 µs, p99 260 µs",
        "31.0 MiB of the host's memory an instance (30.0 to 32.0); it ended at 1 of 4: there was no time",
        "vm warm: half within 400 ms, all after 500 ms",
        "Counts, not a score",
        "12345",
        "vm warm: of 16.0 MiB 0 % back after 0 s, 0 % back after 5 s, 100 % back after 30 s",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn in_short_the_page_says_what_each_way_costs_beside_the_start() {
    let page = render(&comparison());
    let (_, short) = page.split_once("What it costs beside that").unwrap();
    let (short, _) = short.split_once("</section>").unwrap();
    let cost = |of: &str| {
        let (_, cost) = short.split_once(&format!("<dt>{of}</dt><dd>")).unwrap();
        let (amounts, why) = cost.split_once("<br>").unwrap();
        assert!(why.starts_with("<small>"), "{why}");
        let amounts = amounts.split("</span> ").skip(1);
        amounts
            .map(|it| it.split(", <").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let unreclaimable = "1.2 MiB";
    assert_eq!(
        cost("memory of one that the host can't take back"),
        [unreclaimable; 3]
    );
    assert_eq!(
        cost("memory of the host for each further one"),
        ["31.0 MiB"; 3]
    );
    assert_eq!(
        cost("freed memory that the host has again after 30 s"),
        ["100 %"; 2]
    );
    assert_eq!(
        cost("a command's single operations"),
        [
            "1.00 times the container's (clock-read) to 1161 times (getppid)",
            "1.00 times the container's (clock-read) to 1171 times (getppid)",
        ]
    );
    assert!(!short.contains("processor time"), "{short}");
}

#[test]
fn what_a_workload_printed_is_shown_and_not_run() {
    let page = render(&comparison());
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains('\u{1b}'));
}

#[test]
fn nothing_is_fetched() {
    let page = render(&comparison());
    for text in ["src=", "href=", "url(", "@import"] {
        assert!(!page.contains(text), "{text}");
    }
    let addresses = page.matches("://").count();
    let name_spaces = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(addresses, name_spaces);
}

#[test]
fn every_drawing_has_a_name_and_a_sentence() {
    let page = render(&comparison());
    let drawings = page.matches("<svg").count();
    assert_eq!(drawings, 12);
    assert_eq!(page.matches("role=\"img\"").count(), drawings);
    // Two operations have a drawing each, and one sentence.
    assert_eq!(page.matches("<figcaption>").count(), drawings - 1);
    assert!(page.contains("container: from 50 ns, half of them within"));
    for labels in page.split("aria-labelledby=\"").skip(1) {
        let (ids, _) = labels.split_once('"').unwrap();
        for id in ids.split(' ') {
            assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        }
    }
}

#[test]
fn what_is_a_fact_about_the_host_is_told_as_one() {
    let mut comparison = comparison();
    let told = "this host emulates the guest&#39;s kernel mode";
    let told_plainly = "this host emulates the guest's kernel mode";
    let is_told = |page: &str| page.contains(told) || page.contains(told_plainly);
    assert!(!is_told(&render(&comparison)));
    comparison.environment.guest_ring0 = Some(vmm::ring0::Ring0::Emulated {
        instructions_per_second: 1_600_000,
    });
    assert!(is_told(&render(&comparison)));
}

#[test]
fn without_timed_runs_there_is_still_a_page() {
    let page = render(&Comparison {
        series: None,
        results: Vec::new(),
        figures: Vec::new(),
        ..comparison()
    });
    assert!(page.contains("Nothing was timed"));
    assert!(page.contains("kernel boot"));
}

#[test]
fn page_tables_are_told_apart_where_the_kernel_does_and_else_that_is_said() {
    let mut comparison = comparison();
    let not_told = "cgroups of version 1 tell nothing but its sum";
    let page = render(&comparison);
    assert!(page.contains(not_told) && !page.contains("KVM's page tables"));
    let FootprintReading::Taken { footprint, .. } = &mut comparison.ways.vm_cold.footprint else {
        panic!("it was read");
    };
    footprint.page_tables_bytes = Some(1 << 16);
    footprint.kvm_page_tables_bytes = Some(1 << 17);
    let page = render(&comparison);
    // Of 256 KiB that are the kernel's own.
    for part in [
        "page tables, 64.0 KiB",
        "KVM's page tables, 128.0 KiB",
        "kernel's own, 64.0 KiB",
    ] {
        assert!(page.contains(&format!("<title>{part}</title>")), "{part}");
    }
    assert!(!page.contains(not_told));
}

#[test]
fn of_what_had_ended_no_memory_is_drawn_and_only_its_peak_is_told() {
    let mut comparison = comparison();
    let footprint = &mut comparison.ways.container.footprint;
    if let FootprintReading::Taken { moment, .. } = footprint {
        *moment = FootprintMoment::AfterExit;
    }
    let page = render(&comparison);
    let (_, chart) = page.split_once("Memory charged for one instance").unwrap();
    let (chart, _) = chart.split_once("</svg>").unwrap();
    assert!(chart.contains("vm cold, "), "{chart}");
    assert!(!chart.contains("container, "), "{chart}");
    let (_, numbers) = page.split_once("Memory as numbers").unwrap();
    let (_, row) = numbers.split_once("container</span>").unwrap();
    let (row, _) = row.split_once("</tr>").unwrap();
    assert!(row.contains("4.0 MiB"), "{row}");
    assert!(!row.contains("1.0 MiB"), "{row}");
}

#[test]
fn many_runs_make_no_large_file() {
    let mut comparison = comparison();
    let series = comparison.series.as_mut().unwrap();
    series.samples = (0..3_000)
        .map(|order| sample([Way::Container, Way::VmCold, Way::VmWarm][order % 3], order))
        .collect();
    assert!(render(&comparison).len() < 1 << 20);
}

#[test]
fn a_suite_is_one_page_with_a_part_for_each_workload() {
    let measured = |name: &str| Measured {
        name: name.into(),
        about: "It does nothing.".into(),
        words: vec!["busybox".into()],
        comparison: comparison(),
    };
    let all = [measured("startup"), measured("hash")];
    let suite = SuitePage {
        all: &all,
        unmeasured: &[Unmeasured {
            name: "web".into(),
            reason: "no <bridge>".into(),
        }],
        changes: None,
        judgements: None,
    };
    let page = render_suite(suite).unwrap();
    assert_eq!(page.matches("<article").count(), 2);
    assert_eq!(page.matches("<svg").count(), 24);
    assert!(page.contains("</strong> was not measured: no &lt;bridge&gt;."));
    // Each way in a column, and above all what it means.
    assert!(page.contains("6.00 s<br><small>116\u{a0}×</small>"));
    assert!(page.contains(", 116 times the container</strong>"));
    assert!(page.contains("<dt>memory of the host for each further one (startup)</dt>"));
    assert!(page.contains("<small>one more instance</small>"));
    assert!(page.contains("<small>3 at once, all there</small>"));
    assert!(page.contains("<small>freed memory back after 30 s</small>"));
    assert!(page.contains("6.00 s of 6.00 s, is that its kernel boots (“kernel boot”)."));
    let ids: Vec<_> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|it| it.split('"').next())
        .collect();
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    assert_eq!(render_suite(SuitePage { all: &[], ..suite }), None);
}

#[test]
fn of_a_workload_that_is_not_timed_a_suite_tells_what_it_took() {
    let all = [Measured {
        name: "disk".into(),
        about: "It writes.".into(),
        words: vec!["busybox".into()],
        comparison: Comparison {
            series: None,
            results: Vec::new(),
            figures: Vec::new(),
            load: Load::default(),
            ..comparison()
        },
    }];
    let suite = SuitePage {
        all: &all,
        unmeasured: &[],
        changes: None,
        judgements: None,
    };
    let page = render_suite(suite).unwrap();
    let row = |what: &str| {
        let (_, row) = page.split_once(&format!("<small>{what}</small>")).unwrap();
        row.split_once("</tr>").unwrap().0.to_owned()
    };
    assert_eq!(row("memory, peak").matches(">4.0 MiB<").count(), 3);
    assert_eq!(row("disk, its own").matches("<td").count(), 3);
}
