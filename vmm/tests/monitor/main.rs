//! Launcher and monitor, on real KVM, with guests of a few instructions in place of Linux.
//!
//! The monitor is this very binary, started again. So it can't have Rust's own harness, whose
//! `main` would not know of it.

// All of it is test code, though none of it is under `#[test]`.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Tests through the binary have more of them.
mod guest;
mod host;
mod tests;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if vmm::is_monitor() {
        vmm::monitor_main();
    }
    if let Some(dir) = host::as_launcher() {
        host::launch_and_wait(&dir);
    }
    let arguments = Arguments::from_args();
    let has_kvm = vmm::kvm::open().inspect_err(|error| eprintln!("SKIPPED: {error}"));
    let trials = tests::ALL
        .iter()
        .map(|(name, test)| {
            Trial::test(*name, || {
                test();
                Ok(())
            })
            .with_ignored_flag(has_kvm.is_err())
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
