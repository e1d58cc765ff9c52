//! Paths of `/proc` and `/sys` that tell about the host, or change it, and are not per namespace.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is done to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Nothing of it is seen: an empty directory or `/dev/null` lies on it.
    Hidden,
    /// It can be read as before.
    ReadOnly,
}

/// docker's lists (`defaultLinuxMaskedPaths` and `ReadonlyPaths` of moby's `oci/defaults.go`).
/// What this kernel does not have is passed over. [`of_each_cpu`] has the rest.
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

/// How often the processor got too hot tells what others do with it. Each CPU has a directory
/// with that, which docker hides as well; virtual ones have none.
pub(crate) fn of_each_cpu() -> Vec<CString> {
    const CPUS: &str = "/sys/devices/system/cpu";
    if !Path::new(CPUS).join("cpu0/thermal_throttle").exists() {
        return Vec::new();
    }
    // One that can't be listed is not there to be read either.
    let entries = fs::read_dir(CPUS).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path().join("thermal_throttle"))
        .filter(|path| path.is_dir())
        .filter_map(|path| CString::new(path.strip_prefix("/").ok()?.as_os_str().as_bytes()).ok())
        .collect()
}

/// The index of all paths that [`of_each_cpu`] has.
pub(crate) const EACH_CPU: u8 = COVERED.len() as u8;

/// The path of an index, for people.
pub(crate) fn name(index: u8) -> impl std::fmt::Display {
    let path = match index {
        EACH_CPU => Some("sys/devices/system/cpu/*/thermal_throttle"),
        index => COVERED
            .get(usize::from(index))
            .and_then(|(path, _)| path.to_str().ok()),
    };
    std::fmt::from_fn(move |f| match path {
        Some(path) => write!(f, "/{path}"),
        None => f.write_str("an unknown path"),
    })
}
