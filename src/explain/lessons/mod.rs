//! What the calls of a launch are for.

mod both;
mod container;
mod vm;

use launch::Side;
use tracer::Call;

use super::language::Said;

/// What a call of some kind is for.
#[derive(Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The name of the call.
    pub call: &'static str,
    /// What stands in its arguments; all of it.
    pub with: &'static [&'static str],
    /// The file, from the root of the source, that says more.
    pub source: &'static str,
    /// What it is for.
    pub what_for: Said,
}

impl Lesson {
    fn is_about(&self, call: &Call) -> bool {
        let is_in = |text: &&str| call.arguments.contains(*text);
        call.name == self.call
            // One that failed has done nothing.
            && !matches!(call.result, Some(Err(_)))
            && self.with.iter().all(is_in)
    }
}

/// All that is known of a side, the more special first.
pub fn of(side: Side) -> impl Iterator<Item = &'static Lesson> {
    let own = match side {
        Side::Container => container::LESSONS,
        Side::Vm => vm::LESSONS,
    };
    own.iter().chain(both::LESSONS)
}

/// The one about `call`.
pub fn about(side: Side, call: &Call) -> Option<&'static Lesson> {
    of(side).find(|lesson| lesson.is_about(call))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use launch::MonotonicNs;
    use nix::errno::Errno;

    use super::*;

    fn call(name: &'static str, arguments: &str) -> Call {
        Call {
            task: 1,
            name,
            arguments: arguments.into(),
            result: Some(Ok(0)),
            entered: MonotonicNs(0),
            duration_ns: 1,
            times: 1,
        }
    }

    #[test]
    fn a_call_is_explained_by_its_name_and_its_arguments() {
        let create = call("ioctl", "7</dev/kvm>, KVM_CREATE_VM, 0x0");
        let lesson = about(Side::Vm, &create).unwrap();
        assert!(lesson.source.ends_with("vm.rs"));
        assert_eq!(about(Side::Container, &create), None);
        assert_eq!(about(Side::Vm, &call("ioctl", "7, 0x1234")), None);
    }

    #[test]
    fn what_failed_is_not_explained() {
        let failed = Call {
            result: Some(Err(Errno::EPERM)),
            ..call("pivot_root", r#"".", ".""#)
        };
        assert_eq!(about(Side::Container, &failed), None);
    }

    #[test]
    fn every_source_is_there() {
        for side in [Side::Container, Side::Vm] {
            for lesson in of(side) {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(lesson.source);
                assert!(path.is_file(), "{}", lesson.source);
            }
        }
    }
}
