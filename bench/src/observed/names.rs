//! What the numbers in records are called.

use std::collections::BTreeMap;

use syscalls::x86_64::Sysno;

use super::Count;
use super::tracepoint::Tracepoint;

/// Under their names, the most frequent first.
pub(super) fn named(counts: &BTreeMap<u64, u64>, name: impl Fn(u64) -> String) -> Vec<Count> {
    let mut by_name = BTreeMap::new();
    for (key, times) in counts {
        *by_name.entry(name(*key)).or_default() += times;
    }
    let mut all: Vec<_> = by_name
        .into_iter()
        .map(|(name, times)| Count { name, times })
        .collect();
    // Those of the same number stay in the order of their names.
    all.sort_by_key(|count| std::cmp::Reverse(count.times));
    all
}

/// A system call by its number.
pub(super) fn call(key: u64) -> String {
    let known = usize::try_from(key).ok().and_then(Sysno::new);
    known.map_or_else(|| format!("number {key}"), |call| call.name().to_owned())
}

/// An exit by its reason and, below it, an error's number or which kind of processor it is.
pub(super) fn exit(source: &Tracepoint, key: u64) -> String {
    let (reason, below) = (key >> 32, key as u32 as i32);
    match below {
        INTERRUPTED => "interrupted".into(),
        ..0 => "error".into(),
        _ => {
            // KVM's own reasons are in one table; of the processors', the first is Intel's, whose
            // upper half has flags, and the second AMD's (KVM_ISA_VMX, KVM_ISA_SVM).
            let found = match below {
                SVM => source.symbol(1, reason),
                _ => source.symbol(0, reason & 0xffff),
            };
            let name = found.map(|it| it.strip_prefix("KVM_EXIT_").unwrap_or(it));
            name.map_or_else(|| format!("reason {reason:#x}"), str::to_lowercase)
        }
    }
}

/// `KVM_ISA_SVM`, arch/x86/kvm/trace.h.
const SVM: i32 = 2;

/// What `KVM_RUN` returns when a signal came.
const INTERRUPTED: i32 = -(nix::errno::Errno::EINTR as i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_exits_have_names_and_what_has_none_a_number() {
        assert_eq!(call(39), "getpid");
        assert_eq!(call(0xffff_ffff), "number 4294967295");
        let source = Tracepoint::example();
        for (reason, below, name) in [
            (12, 1, "hlt"),
            (0x78, 2, "hlt"),
            (0x8000_000c, 1, "hlt"),
            (0x4e, 2, "pf excp"),
            (0x99, 2, "reason 0x99"),
            (12, 0, "hlt"),
            (10, -4i32 as u32, "interrupted"),
            (0, -14i32 as u32, "error"),
        ] {
            assert_eq!(exit(&source, reason << 32 | u64::from(below)), name);
        }
    }

    #[test]
    fn the_most_frequent_comes_first_and_the_same_name_once() {
        let counts = BTreeMap::from([(1, 5), (2, 7), (3, 5), (4, 1)]);
        let name = |key| ["", "b", "c", "a", "c"][key as usize].to_owned();
        let all: Vec<_> = named(&counts, name)
            .into_iter()
            .map(|count| (count.name, count.times))
            .collect();
        assert_eq!(all, [("c".into(), 8), ("a".into(), 5), ("b".into(), 5)]);
    }
}
