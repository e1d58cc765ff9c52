//! The filters of a VM's monitor hold what its threads use and no more: machines do all that there is
//! to do, watched by the kernel, and each call that a filter lets pass is made. (What it does not let
//! pass kills the monitor, which all other tests of VMs see.)

#![allow(clippy::unwrap_used)]

#[path = "../harness/mod.rs"]
mod harness;
mod in_guest;
mod machines;
mod trace;
mod unused;
mod used;

use std::fs;

use harness::lan::on_a_lan;
use harness::loop_device::LoopDevice;
use harness::{Place, World, can_run};
use launch::Side;
use trace::Trace;

#[test]
fn each_call_that_a_filter_allows_is_made() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    on_a_lan(|lan| {
        let world = World::new();
        let Some(device) = LoopDevice::new(&world, "disk", &[b'x'; 1 << 20]) else {
            return;
        };
        let tracefs = world.dir().join("tracefs");
        fs::create_dir(&tracefs).unwrap();
        let Some(trace) = Trace::start(&tracefs) else {
            return;
        };
        machines::one_that_has_everything_of_the_hosts(&world, lan, &device);
        machines::one_that_is_saved_and_one_that_goes_on(&world);
        let used = used::used(&trace.finish());
        let superfluous = unused::superfluous(&used::rights(), &used);
        assert!(superfluous.is_empty(), "nobody uses {superfluous:#?}");
    });
}
