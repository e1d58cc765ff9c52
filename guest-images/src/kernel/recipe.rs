//! What the kernel is made by: the files in `guest-images/kernel/`, as they were when this
//! library was compiled.

use launch::CpuLimit;

/// For machines of how many processors a kernel is.
///
/// One for several runs on one, too, but slower: what may happen at once takes locks, and waiting
/// for all processors takes time even if there is one. Where a guest's ring 0 is emulated, that is
/// 1.8 s of a boot and 0.4 s of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processors {
    /// One.
    One,
    /// Two or more.
    Several,
}

impl Processors {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Several];

    /// For a machine with a processor for each of these CPUs; without a limit it has one.
    pub fn of(cpus: Option<CpuLimit>) -> Self {
        match cpus.map_or(1, CpuLimit::rounded_up) {
            1 => Self::One,
            _ => Self::Several,
        }
    }

    /// The options that differ from `allnoconfig`'s.
    pub(super) fn fragment(self) -> &'static str {
        match self {
            Self::One => include_str!("../../kernel/config"),
            Self::Several => concat!(
                include_str!("../../kernel/config"),
                include_str!("../../kernel/config-smp")
            ),
        }
    }
}

/// Our changes to the source, each a name and a patch, in the order in which they are applied.
pub(super) const PATCHES: &[(&str, &str)] =
    include!(concat!(env!("OUT_DIR"), "/kernel-patches.rs"));

/// What would be different in every build, fixed: the same inputs make the same bytes.
pub(super) const VARIABLES: [(&str, &str); 3] = [
    ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 2026"),
    ("KBUILD_BUILD_USER", "jaula"),
    ("KBUILD_BUILD_HOST", "jaula"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_cpu_takes_the_kernel_for_several() {
        for (cpus, processors) in [
            (None, Processors::One),
            (Some("0.5"), Processors::One),
            (Some("1"), Processors::One),
            (Some("1.01"), Processors::Several),
            (Some("2"), Processors::Several),
        ] {
            let cpus = cpus.map(|cpus| cpus.parse().unwrap());
            assert_eq!(Processors::of(cpus), processors);
        }
    }

    #[test]
    fn patches_are_applied_in_the_order_of_their_names() {
        assert!(!PATCHES.is_empty());
        assert!(PATCHES.is_sorted());
    }
}
