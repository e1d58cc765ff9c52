//! Feeds hostile bytes to everything that takes bytes from a guest, an image or a snapshot.
//!
//! A [target](TARGETS) makes of its input what a hostile guest might do, or an image or a file
//! might hold, and feeds it to the code that takes it in earnest. It fails by a panic, by not
//! coming to an end, by an [allocation](allocation) that is larger than any should be, or by
//! finding changed what must stay as it is.
//!
//! - [`targets`]: a file each.
//! - [`virtio`]: a guest and its monitor, reduced to one device.
//! - [`fields`]: numbers and names that are mostly worth a try.
//! - [`allocation`]: what allocates no more than it should.
//!
//! `fuzz_targets/` has a program of libFuzzer's for each, which needs the feature `libfuzzer`.
//! `tests/replay.rs` gives all of them what was found worth keeping, and as much again made from
//! that.

#![expect(
    clippy::expect_used,
    reason = "where a target can't be set up there is nothing to go on with"
)]

pub mod allocation;
pub mod fields;
pub mod targets;
pub mod virtio;

/// Something that takes hostile bytes.
pub struct Target {
    /// As its program is called.
    pub name: &'static str,
    /// Feeds it one input, and panics if that does harm.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "archive",
        run: targets::archive::run,
    },
    Target {
        name: "balloon",
        run: targets::balloon::run,
    },
    Target {
        name: "block",
        run: targets::block::run,
    },
    Target {
        name: "bus",
        run: targets::bus::run,
    },
    Target {
        name: "documents",
        run: targets::documents::run,
    },
    Target {
        name: "doorbell",
        run: targets::doorbell::run,
    },
    Target {
        name: "fs",
        run: targets::fs::run,
    },
    Target {
        name: "layer",
        run: targets::layer::run,
    },
    Target {
        name: "net",
        run: targets::net::run,
    },
    Target {
        name: "protocol",
        run: targets::protocol::run,
    },
    Target {
        name: "rng",
        run: targets::rng::run,
    },
    Target {
        name: "seccomp",
        run: targets::seccomp::run,
    },
    Target {
        name: "serial",
        run: targets::serial::run,
    },
    Target {
        name: "snapshot",
        run: targets::snapshot::run,
    },
    Target {
        name: "vsock",
        run: targets::vsock::run,
    },
];

/// Feeds a device an input, and returns what guest memory holds after it.
pub type MemoryAfter = fn(&[u8]) -> Vec<u8>;

/// Targets of which the same input always leaves the same, by their names: there are neither random numbers
/// nor times in it.
pub const REPEATABLE: &[(&str, MemoryAfter)] = &[
    ("balloon", targets::balloon::memory_after),
    ("block", targets::block::memory_after),
    ("net", targets::net::memory_after),
    ("vsock", targets::vsock::memory_after),
];
