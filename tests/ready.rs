//! `jaula compare --ready` over the network: how long until a server answers.

#![allow(clippy::unwrap_used)]

mod harness;

use bench::{Comparison, Outcome, SampleOutcome};
use harness::lan::on_a_lan;
use harness::schema::assert_fits_the_schema;
use harness::{Place, World, can_run};
use launch::Side;

/// A web server of the image's, which is asked for a file of the image's.
fn is_ready(sign: &str) {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    on_a_lan(|lan| {
        let world = World::new();
        let ready = format!("--ready={sign}");
        let flags = ["compare", "--network=bridge", "--runs=1", "--json", &ready];
        let server = ["busybox", "httpd", "-f", "-p", "8080", "-h", "/"];
        let seen = world.run(flags.into_iter().chain(server));
        assert_eq!(seen.code, Some(0), "{}", seen.stderr);
        assert_fits_the_schema(&seen.stdout);
        let comparison: Comparison = serde_json::from_slice(&seen.stdout).unwrap();
        for report in comparison.ways.as_ref().into_array() {
            assert_eq!(report.outcome, Outcome::Ready, "{}", report.way);
        }
        let samples = comparison.series.unwrap().samples;
        assert_eq!(samples.len(), 3);
        for sample in samples {
            assert_eq!(sample.outcome, SampleOutcome::Reached);
            // Nobody listens before the command runs.
            assert!(sample.launch_to_ready_ns.unwrap() > sample.launch_to_main_ns.unwrap());
        }
        lan.assert_no_traces();
        world.assert_no_traces();
    });
}

#[test]
fn a_web_server_is_ready_with_its_first_answer() {
    is_ready("http:8080/etc/os-release");
}

#[test]
fn a_server_is_ready_when_it_takes_a_connection() {
    is_ready("tcp:8080");
}
