use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// docker's names, each with the number of `include/uapi/asm-generic/resource.h`.
const NAMES: [(&str, u32); 15] = [
    ("cpu", 0),
    ("fsize", 1),
    ("data", 2),
    ("stack", 3),
    ("core", 4),
    ("rss", 5),
    ("nproc", 6),
    ("nofile", 7),
    ("memlock", 8),
    ("locks", 10),
    ("sigpending", 11),
    ("msgqueue", 12),
    ("nice", 13),
    ("rtprio", 14),
    ("rttime", 15),
];

/// A `--ulimit` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ulimit {given:?}: {why}")]
pub struct InvalidUlimit {
    given: String,
    why: &'static str,
}

/// A limit of `getrlimit(2)`, in the kernel's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// The limit that holds; `u64::MAX` is none.
    pub soft: u64,
    /// Up to which the command may raise it.
    pub hard: u64,
}

impl Ulimit {
    /// docker's name of it; empty if it has none.
    pub fn name(&self) -> &'static str {
        let known = NAMES.iter().find(|(_, number)| *number == self.resource);
        known.map_or("", |(name, _)| name)
    }
}

/// docker's notation: `nofile=1024` or `nofile=1024:2048`, -1 for no limit.
impl FromStr for Ulimit {
    type Err = InvalidUlimit;

    fn from_str(given: &str) -> Result<Self, InvalidUlimit> {
        let refuse = |why| InvalidUlimit {
            given: given.to_owned(),
            why,
        };
        let (name, limits) = given
            .split_once('=')
            .ok_or_else(|| refuse("takes NAME=SOFT[:HARD], as in nofile=1024:2048"))?;
        let (_, resource) = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| {
                refuse("its name is none of cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, locks, sigpending, msgqueue, nice, rtprio, rttime")
            })?;
        let number = |text: &str| match text {
            "-1" | "unlimited" => Ok(u64::MAX),
            text => text
                .parse()
                .map_err(|_| refuse("its limits are whole numbers, or -1 for none")),
        };
        let (soft, hard) = match limits.split_once(':') {
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => (number(limits)?, number(limits)?),
        };
        if soft > hard {
            return Err(refuse("the soft limit is above the hard one"));
        }
        Ok(Self {
            resource: *resource,
            soft,
            hard,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        for (given, expected) in [
            ("nofile=1024", Some((7, 1024, 1024))),
            ("nofile=1024:2048", Some((7, 1024, 2048))),
            ("core=-1", Some((4, u64::MAX, u64::MAX))),
            ("stack=1:-1", Some((3, 1, u64::MAX))),
            ("nofile", None),
            ("files=1", None),
            ("as=1", None),
            ("nofile=2:1", None),
            ("nofile=-1:1", None),
            ("nofile=", None),
            ("nofile=1:2:3", None),
        ] {
            let limit = given.parse::<Ulimit>().ok();
            let limit = limit.map(|limit| (limit.resource, limit.soft, limit.hard));
            assert_eq!(limit, expected, "{given}");
        }
    }
}
