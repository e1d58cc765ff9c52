//! Paths of `/proc` and `/sys` that tell about the host, or change it, and are not per namespace.

use std::ffi::CStr;

/// What is done to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Nothing of it is seen: an empty directory or `/dev/null` lies on it.
    Hidden,
    /// It can be read as before.
    ReadOnly,
}

/// docker's lists (`defaultLinuxMaskedPaths` and `ReadonlyPaths` of moby's `oci/defaults.go`),
/// without the `thermal_throttle` directory of each CPU. What this kernel does not have is passed
/// over.
pub(crate) const COVERED: [(&CStr, Cover); 17] = [
    (c"proc/acpi", Cover::Hidden),
    (c"proc/asound", Cover::Hidden),
    (c"proc/interrupts", Cover::Hidden),
    (c"proc/kcore", Cover::Hidden),
    (c"proc/keys", Cover::Hidden),
    (c"proc/latency_stats", Cover::Hidden),
    (c"proc/sched_debug", Cover::Hidden),
    (c"proc/scsi", Cover::Hidden),
    (c"proc/timer_list", Cover::Hidden),
    (c"proc/timer_stats", Cover::Hidden),
    (c"sys/devices/virtual/powercap", Cover::Hidden),
    (c"sys/firmware", Cover::Hidden),
    (c"proc/bus", Cover::ReadOnly),
    (c"proc/fs", Cover::ReadOnly),
    (c"proc/irq", Cover::ReadOnly),
    (c"proc/sys", Cover::ReadOnly),
    (c"proc/sysrq-trigger", Cover::ReadOnly),
];

/// The path of an index, for people.
pub(crate) fn name(index: u8) -> impl std::fmt::Display {
    let path = COVERED
        .get(usize::from(index))
        .and_then(|(path, _)| path.to_str().ok());
    std::fmt::from_fn(move |f| match path {
        Some(path) => write!(f, "/{path}"),
        None => f.write_str("an unknown path"),
    })
}
