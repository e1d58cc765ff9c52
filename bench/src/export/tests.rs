use serde_json::Value;

use super::*;
use crate::html::tests::comparison;
use crate::{Contender, Metric, Way, results};

pub(crate) fn measured(name: &str) -> Measured {
    Measured {
        name: name.into(),
        about: "It does nothing.".into(),
        words: vec!["busybox".into()],
        comparison: comparison(),
    }
}

#[test]
fn every_sample_is_a_line() {
    let text = samples(&measured("startup"));
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 24);
    assert_eq!(lines[0]["workload"], "startup");
    assert_eq!(lines[0]["contender"], "container");
    assert_eq!(lines[4]["outcome"]["failed"]["reason"], "it did not answer");
}

#[test]
fn a_row_of_the_table_has_a_field_for_each_head() {
    let text = csv(&[measured("a,\"b\"")]);
    let mut lines = text.split("\r\n");
    let heads = lines.next().unwrap().split(',').count();
    let row = lines.next().unwrap();
    assert!(
        row.starts_with("\"a,\"\"b\"\"\",main,ns,container,8,0,"),
        "{row}"
    );
    // One comma is in the name.
    assert_eq!(row.split(',').count(), heads + 1);
    let vm_cold = lines.next().unwrap();
    assert!(vm_cold.ends_with(",slower"), "{vm_cold}");
    let figure = lines.find(|line| line.contains("reported getppid,ns,vm cold"));
    let figure = figure.unwrap();
    assert!(
        figure.contains(",reported getppid,ns,vm cold,7,1,130001,130013,"),
        "{figure}"
    );
    assert_eq!(figure.split(',').count(), heads + 1);
    let cpu = lines.find(|line| line.contains("cpu of getppid,ns,vm cold"));
    let cpu = cpu.unwrap();
    assert!(
        cpu.contains(",cpu of getppid,ns,vm cold,7,1,390003,390039,") && cpu.ends_with(",more"),
        "{cpu}"
    );
    assert_eq!(cpu.split(',').count(), heads + 1);
}

#[test]
fn a_contender_whose_name_has_a_comma_is_one_field() {
    let mut all = [measured("startup")];
    let row = &mut all[0].comparison.results[0].rows[0];
    row.contender = Contender::JaulaRunVmCold;
    let text = csv(&all);
    let row = text.split("\r\n").nth(1).unwrap();
    let start = "startup,main,ns,\"jaula run, vm cold\",8,0,";
    assert!(row.starts_with(start), "{row}");
}

#[test]
fn many_instances_have_tables_of_their_own() {
    let all = [measured("a,b")];
    let density = density_csv(&all).unwrap();
    let lines: Vec<_> = density.split("\r\n").collect();
    assert_eq!(
        lines[2],
        "\"a,b\",container,1,9436135424,1048576,true,,1700000"
    );
    // Container and warm VM up to 4, the cold one up to 1; the heads and the end.
    assert_eq!(lines.len(), 4 + 4 + 2 + 2);
    let concurrency = concurrency_csv(&all).unwrap();
    assert_eq!(
        concurrency.split("\r\n").nth(1),
        Some("\"a,b\",container,3,main,4000000")
    );
    let text = markdown(&all);
    assert!(
        text.contains("| vm warm | 4 | 124.0 MiB | 1.70 ms |\n"),
        "{text}"
    );
    assert!(
        text.contains("- vm cold: 31.0 MiB of the host's memory an instance (30.0 to 32.0); it ended at 1 of 4: "),
        "{text}"
    );
    assert!(
        text.contains("| vm warm | 3 | 400 ms | 500 ms | 500 ms | 500 ms |"),
        "{text}"
    );
    assert!(
        text.contains("| vm warm | 16.0 MiB | 0 % | 0 % | 100 % |"),
        "{text}"
    );
    let elasticity = elasticity_csv(&all).unwrap();
    assert_eq!(
        elasticity.split("\r\n").nth(1),
        Some("\"a,b\",container,10485760,27262976,0,10485760")
    );
    let mut none = measured("none");
    none.comparison.load = crate::load::Load::default();
    assert_eq!(
        (
            density_csv(&[none.clone()]),
            concurrency_csv(&[none.clone()])
        ),
        (None, None)
    );
    assert_eq!(elasticity_csv(&[none]), None);
}

/// The same workload, of which memory was measured: of a VM fifty times as much.
fn with_memory() -> Measured {
    let mut measured = measured("waiting");
    let series = measured.comparison.series.as_mut().unwrap();
    series.metrics = vec![Metric::Memory];
    let contenders: Vec<_> = [Way::Container, Way::VmCold].map(Contender::from).into();
    for sample in &mut series.samples {
        sample.memory_bytes = Some(match sample.contender {
            Contender::Container => 256 << 10,
            _ => (12 << 20) + (512 << 10),
        });
    }
    measured.comparison.results = results::of_series(series, &contenders);
    measured
}

#[test]
fn memory_is_in_bytes_and_not_slower_but_more() {
    let all = [with_memory()];
    let table = csv(&all);
    let vm_cold = table
        .split("\r\n")
        .find(|line| line.starts_with("waiting,memory,bytes,vm cold,7,1,13107200,"));
    assert!(
        vm_cold.unwrap().ends_with(",50,0.0005827505827505828,more"),
        "{table}"
    );
    let text = markdown(&all);
    assert!(
        text.contains("| vm cold | 7, 1 failed | 12.5 MiB | 12.5 MiB | 12.5 MiB | more than container, 50.0 times |"),
        "{text}"
    );
    let page = crate::html::render(&all[0].comparison);
    assert!(page.contains(" takes more than the container: 50.0 times its median"));
    // No head of a table is without its values.
    let text = crate::table::render(&all[0].comparison, 100);
    assert!(text.contains("more, 50.0 times"), "{text}");
    assert!(
        text.contains("vm cold against container: +12.2 MiB"),
        "{text}"
    );
}

#[test]
fn markdown_holds_no_more_than_its_tables() {
    let text = markdown(&[measured("a | b <script>")]);
    assert!(text.starts_with("## a \\| b \\<script\\>\n"), "{text}");
    assert!(
        text.contains("| vm cold | 7, 1 failed | 6.00 s |"),
        "{text}"
    );
    assert!(text.contains("slower than container, 116 times"), "{text}");
    assert!(
        text.contains(
            "| getppid | vm cold | 7, 1 failed | 130 µs | 260 µs | slower than container, 1161 times |"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "| getppid | vm cold | 7, 1 failed | 390 µs | 390 µs | 390 µs | more than container, "
        ),
        "{text}"
    );
    assert!(
        text.contains("- There was no time for 8 runs of each in 60.0 s (--budget-time).\n"),
        "{text}"
    );
    assert!(text.contains("- W06 only 8 runs.\n"), "{text}");
}

#[test]
fn hyperfines_readers_find_their_fields() {
    let text = hyperfine(&[measured("startup")]);
    let document: Value = serde_json::from_str(&text).unwrap();
    let first = &document["results"][0];
    assert_eq!(first["command"], "startup (container)");
    assert_eq!(first["times"].as_array().unwrap().len(), 8);
    let mean = first["mean"].as_f64().unwrap();
    assert!(first["min"].as_f64().unwrap() <= mean && mean <= first["max"].as_f64().unwrap());
    // Of eight runs of vm cold one failed.
    assert_eq!(document["results"][1]["times"].as_array().unwrap().len(), 7);
}
