//! The cgroup mounts in `/proc/self/mountinfo`, as proc_pid_mountinfo(5) describes it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::controller::Controller;

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A version 1 hierarchy with these controllers of ours, perhaps none.
    V1(Vec<Controller>),
    /// The version 2 hierarchy.
    V2,
}

/// One mount of a cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    /// What is mounted.
    pub kind: Kind,
    /// Which cgroup is mounted, as a path from the hierarchy's root.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
}

/// The cgroup mounts of a mount table, in its order. A line that is none is passed over.
pub(crate) fn parse(mountinfo: &[u8]) -> Vec<CgroupMount> {
    mountinfo.split(|&b| b == b'\n').filter_map(line).collect()
}

/// `36 35 98:0 /root /mount/point rw,noatime master:1 - type source super,options`
fn line(line: &[u8]) -> Option<CgroupMount> {
    let mut fields = line.split(|&b| b == b' ');
    let root = path(fields.nth(3)?);
    let mount_point = path(fields.next()?);
    // Any number of optional fields stands before the hyphen.
    fields.find(|field| *field == b"-")?;
    let kind = match fields.next()? {
        b"cgroup" => {
            let options = fields.nth(1)?;
            Kind::V1(Controller::listed_v1(options.split(|&b| b == b',')))
        }
        b"cgroup2" => Kind::V2,
        _ => return None,
    };
    Some(CgroupMount {
        kind,
        root,
        mount_point,
    })
}

/// Undoes the kernel's escapes: space, tab, newline and backslash are written as three octal
/// digits after a backslash (`mangle_path`, fs/seq_file.c).
fn path(escaped: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mount(kind: Kind, root: &str, mount_point: &str) -> CgroupMount {
        CgroupMount {
            kind,
            root: root.into(),
            mount_point: mount_point.into(),
        }
    }

    #[test]
    fn only_cgroup_mounts_are_kept() {
        for (line, expected) in [
            (
                "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
                vec![mount(
                    Kind::V1(vec![Controller::Memory]),
                    "/",
                    "/sys/fs/cgroup/memory",
                )],
            ),
            (
                "32 25 0:29 / /c rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct",
                vec![mount(
                    Kind::V1(vec![Controller::Cpu, Controller::CpuTime]),
                    "/",
                    "/c",
                )],
            ),
            (
                "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
                vec![mount(Kind::V1(vec![]), "/", "/sys/fs/cgroup/systemd")],
            ),
            (
                "41 31 0:38 /docker/a /sys/fs/cgroup ro - cgroup2 cgroup2 rw",
                vec![mount(Kind::V2, "/docker/a", "/sys/fs/cgroup")],
            ),
            (
                r"41 31 0:38 /a\134b /my\040groups rw - cgroup2 cgroup2 rw",
                vec![mount(Kind::V2, r"/a\b", "/my groups")],
            ),
            ("27 1 254:0 / / rw - ext4 /dev/vda rw,memory", vec![]),
            ("41 31 0:38 / /sys/fs/cgroup rw - cgroup2", {
                vec![mount(Kind::V2, "/", "/sys/fs/cgroup")]
            }),
            ("41 31 0:38 / /sys/fs/cgroup rw cgroup2 cgroup2 rw", vec![]),
            ("41 31 0:38 /", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn an_escape_that_is_cut_short_stands_for_itself() {
        for given in [r"/a\", r"/a\0", r"/a\04", r"/a\489", r"/a\400"] {
            assert_eq!(path(given.as_bytes()), PathBuf::from(given));
        }
    }

    proptest! {
        #[test]
        fn no_mount_table_makes_the_parser_panic(
            lines in prop::collection::vec(r"[0-9: /\\,a-z-]{0,40}( - cgroup2? [ -~]{0,20})?", 0..8)
        ) {
            parse(lines.join("\n").as_bytes());
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
