//! Which cgroups a process is in: `/proc/PID/cgroup`, as cgroups(7) describes it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::controller::Controller;

/// A process's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// In a version 1 hierarchy that has these controllers of ours.
    V1(Vec<Controller>, PathBuf),
    /// In the version 2 hierarchy.
    V2(PathBuf),
}

/// Reads lines of `hierarchy-ID:controller,controller:path`; one that is malformed is passed
/// over. Paths are relative to the root of our cgroup namespace.
pub(crate) fn parse(cgroup: &[u8]) -> Vec<Member> {
    cgroup.split(|&b| b == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Member> {
    // A path may hold colons, the two fields before it can't.
    let mut fields = line.splitn(3, |&b| b == b':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let path = PathBuf::from(OsStr::from_bytes(path));
    if !path.is_absolute() {
        return None;
    }
    Some(if id == b"0" && controllers.is_empty() {
        Member::V2(path)
    } else {
        Member::V1(
            Controller::listed_v1(controllers.split(|&b| b == b',')),
            path,
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_line_is_one_hierarchy() {
        for (line, expected) in [
            ("0::/", vec![Member::V2("/".into())]),
            (
                "0::/user.slice/session:1.scope",
                vec![Member::V2("/user.slice/session:1.scope".into())],
            ),
            (
                "4:memory:/a/b",
                vec![Member::V1(vec![Controller::Memory], "/a/b".into())],
            ),
            (
                "2:cpu,cpuacct:/",
                vec![Member::V1(
                    vec![Controller::Cpu, Controller::CpuTime],
                    "/".into(),
                )],
            ),
            ("9:name=systemd:/", vec![Member::V1(vec![], "/".into())]),
            ("0::relative", vec![]),
            ("0:", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(line.as_bytes()), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(
            lines in prop::collection::vec("[0-9]{0,2}:?[a-z=,]{0,12}:?[ -~]{0,20}", 0..8)
        ) {
            parse(lines.join("\n").as_bytes());
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
