//! What the kernel is made by: the files in `guest-images/kernel/`, as they were when this
//! library was compiled.

/// The options that differ from `allnoconfig`'s.
pub(super) const FRAGMENT: &str = include_str!("../../kernel/config");

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
    fn patches_are_applied_in_the_order_of_their_names() {
        assert!(!PATCHES.is_empty());
        assert!(PATCHES.is_sorted());
    }
}
