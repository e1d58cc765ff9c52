//! What the kernel does with memory that was freed.

use std::fs;

use crate::fatal::Fatal;

/// How much of it stays at hand for each processor, as a share of all: one in so many, sysctl/vm.rst of
/// the kernel. By itself it is up to an eighth (`MIN_PERCPU_PAGELIST_HIGH_FRACTION`, mm/page_alloc.c).
const AT_HAND: (&str, &str) = ("/proc/sys/vm/percpu_pagelist_high_fraction", "1024");

/// Has it given back to all processors, early: what is at hand for one is not reported to the host.
pub(crate) fn give_back_early() -> Result<(), Fatal> {
    let (setting, value) = AT_HAND;
    fs::write(setting, value).map_err(Fatal::when("setting how much free memory is kept at hand"))
}
