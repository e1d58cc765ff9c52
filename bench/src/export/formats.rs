//! Each format as it is, of one result that never changes: who changes a format sees what of it changed
//! in `formats/`, and so does who reviews it. `UPDATE_FORMATS=1 cargo test -p jaula-bench formats` writes
//! them anew.

use std::fs;
use std::path::Path;

use vmm::ring0::Ring0;

use super::*;
use crate::budget::Budget;
use crate::changes::Changes;
use crate::environment::{Environment, FileSystem, HostFacts, Programs};
use crate::floors::{Floor, Floors};
use crate::{Contender, table};

/// A result in which nothing is of this host, and nothing of now.
fn fixed() -> Measured {
    let mut measured = tests::measured("startup");
    let comparison = &mut measured.comparison;
    comparison.environment = Environment {
        taken_at: "2026-01-02T03:04:05Z".into(),
        cpu_model: Some("A processor".into()),
        cpus: 4,
        kernel_release: "6.12.0".into(),
        guest_ring0: Some(Ring0::Hardware {
            instructions_per_second: 2_500_000_000,
        }),
        host: HostFacts {
            load_milli: Some(120),
            ..HostFacts::default()
        },
        image_file_system: Some(FileSystem {
            kind: "ext4".into(),
            device: "/dev/sda1".into(),
            options: "rw".into(),
        }),
        floors: Floors {
            floors: vec![Floor {
                what: "a child that ends at once".into(),
                times: 15,
                least_ns: 150_000,
                p50_ns: 180_000,
            }],
            ..Floors::default()
        },
        programs: Programs {
            jaula_version: "1.2.3".into(),
            ..Programs::default()
        },
    };
    for way in comparison
        .load
        .elasticity
        .iter_mut()
        .flat_map(|it| &mut it.ways)
    {
        way.held.truncate(2);
    }
    measured
}

/// The same, in which containers start half as quickly.
fn slower() -> Measured {
    let mut measured = fixed();
    let samples = &mut measured.comparison.series.as_mut().unwrap().samples;
    for sample in samples {
        if sample.contender == Contender::Container {
            sample.launch_to_main_ns = sample.launch_to_main_ns.map(|ns| 2 * ns);
        }
    }
    measured.comparison.environment.cpus = 8;
    measured
}

const BUDGET: &str = r#"
[[limit]]
workload = "startup"
contender = "container"
metric = "main"
p50 = "2ms"
baseline = 1.2

[[limit]]
workload = "startup"
contender = "vm warm"
metric = "main"
ratio = 1000.0
"#;

/// Holds a text against the one in `formats/`.
#[track_caller]
fn assert_is_as_before(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/export/formats")
        .join(name);
    if std::env::var_os("UPDATE_FORMATS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = before.split('\n').zip(text.split('\n')).zip(1..);
    if let Some(((was, is), line)) = lines.find(|((was, is), _)| was != is) {
        panic!(
            "{name}, line {line} was {was:?} and is {is:?}; write it anew with UPDATE_FORMATS=1"
        );
    }
    assert_eq!(before.len(), text.len(), "{name} has another length");
}

#[test]
fn each_format_is_as_it_was() {
    let all = [fixed()];
    let samples = samples(&all[0]);
    // The fifth has failed.
    let samples: String = samples.split_inclusive('\n').take(5).collect();
    for (name, text) in [
        ("samples.jsonl", samples),
        ("summary.json", summary(&all)),
        ("results.csv", csv(&all)),
        ("density.csv", density_csv(&all).unwrap()),
        ("concurrency.csv", concurrency_csv(&all).unwrap()),
        ("elasticity.csv", elasticity_csv(&all).unwrap()),
        ("report.md", markdown(&all)),
        ("hyperfine.json", hyperfine(&all)),
        ("compare.txt", table::render(&all[0].comparison, 100)),
    ] {
        assert_is_as_before(name, &text);
    }
}

#[test]
fn what_is_told_of_changes_is_as_it_was() {
    let (before, after) = ([fixed()], [slower()]);
    let changes = Changes::between(&before, &after);
    let budget = Budget::parse(BUDGET).unwrap();
    let judgements = budget.judge(&after, Some(&changes));
    for (name, text) in [
        ("diff.txt", table::changes(&changes, 100)),
        ("diff.json", serde_json::to_string_pretty(&changes).unwrap()),
        ("diff.md", markdown_of_changes(&changes)),
        ("limits.txt", table::judgements(&judgements, 100)),
        ("limits.md", markdown_of_judgements(&judgements)),
    ] {
        assert_is_as_before(name, &text);
    }
}
