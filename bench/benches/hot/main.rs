//! What is hot inside and what the kernel takes at least, each by itself: criterion's figures.
//!
//! `cargo bench --bench hot [-- FILTER]`. The devices have files in memory behind them, so what is
//! measured is our part and the kernel's, not a disk.

#![expect(
    clippy::expect_used,
    reason = "what can't be set up can't be measured, and is told by the panic"
)]

mod devices;
mod floors;
mod guest;
mod images;
mod machine;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .configure_from_args();
    devices::all(&mut criterion);
    machine::all(&mut criterion);
    images::all(&mut criterion);
    floors::all(&mut criterion);
    criterion.final_summary();
}
