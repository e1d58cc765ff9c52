use std::fs;

use nix::unistd::geteuid;

use super::ranges::Range;

/// Which IDs the user namespace of this process has, and what they are in the one that it was
/// made in: `/proc/self/uid_map` or `gid_map`, user_namespaces(7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap(Vec<Extent>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Extent {
    inside: u32,
    outside: Range,
}

impl IdMap {
    /// Of users. Empty without `/proc`.
    pub fn of_users() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default())
    }

    /// Of groups.
    pub fn of_groups() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/gid_map").unwrap_or_default())
    }

    /// As the file has it; lines that are none are left out.
    pub fn parse(text: &str) -> Self {
        let extent = |line: &str| {
            let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
            let mut number = || numbers.next().flatten();
            Some(Extent {
                inside: number()?,
                outside: Range {
                    first: number()?,
                    count: number()?,
                },
            })
        };
        Self(text.lines().filter_map(extent).collect())
    }

    /// What an ID is outside.
    pub fn outside(&self, inside: u32) -> Option<u32> {
        self.0.iter().find_map(|extent| {
            let offset = inside.checked_sub(extent.inside)?;
            (offset < extent.outside.count).then(|| extent.outside.first.wrapping_add(offset))
        })
    }

    /// The highest ID; `None` if there is none.
    pub fn last(&self) -> Option<u32> {
        let of = |extent: &Extent| {
            Some(
                extent
                    .inside
                    .wrapping_add(extent.outside.count.checked_sub(1)?),
            )
        };
        self.0.iter().filter_map(of).max()
    }
}

/// Group `tty` in every distribution: the last of those that every root has something of.
const TTY: u32 = 5;

/// Whether this process is root of a user namespace that has other users and groups, so that it
/// can give files to them, and become them.
pub fn has_many_ids() -> bool {
    geteuid().is_root()
        && [IdMap::of_users(), IdMap::of_groups()]
            .iter()
            .all(|map| (0..=TTY).all(|id| map.outside(id).is_some()))
        && fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "allow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_outside_if_it_is_mapped() {
        let map = IdMap::parse("         0       1000          1\n 1 100000 65536\n");
        for (inside, outside) in [
            (0, Some(1000)),
            (1, Some(100_000)),
            (65536, Some(165_535)),
            (65537, None),
        ] {
            assert_eq!(map.outside(inside), outside, "{inside}");
        }
        assert_eq!(map.last(), Some(65536));
        assert_eq!(IdMap::default().last(), None);
        let all = IdMap::parse("0 0 4294967295\n");
        assert_eq!(all.outside(u32::MAX - 1), Some(u32::MAX - 1));
        assert_eq!(IdMap::parse("").outside(0), None);
    }
}
