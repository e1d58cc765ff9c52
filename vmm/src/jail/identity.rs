use std::process;

use host::user_namespace::IdMap;

/// The first number for a monitor of root's. From here up to 2,147,352,575 nothing is given out:
/// it is behind the ranges of systemd's containers and below those that are not to be used
/// (systemd's "Users, Groups, UIDs and GIDs"), and far from what `useradd` and `/etc/subuid` take.
const FIRST: u32 = 0x7000_0000;
/// In a user namespace that has not got those: how many of its last numbers are for monitors.
const AT_THE_END: u32 = 4096;

/// As whom the monitor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// As who started it: an ordinary user, or there is nobody else.
    Own,
    /// As this user and group, which have nothing anywhere.
    Other(u32),
}

impl Identity {
    /// One of this process alone, as its ID is: so monitors can do nothing to each other.
    pub(super) fn of_nobody_else() -> Self {
        Self::choose(&IdMap::of_users(), &IdMap::of_groups(), process::id())
    }

    fn choose(users: &IdMap, groups: &IdMap, pid: u32) -> Self {
        let is_there = |id: &u32| users.outside(*id).is_some() && groups.outside(*id).is_some();
        // A process ID is below 2^22 (`PID_MAX_LIMIT`).
        if let Some(id) = FIRST.checked_add(pid).filter(is_there) {
            return Self::Other(id);
        }
        let last = users.last().into_iter().chain(groups.last()).min();
        last.and_then(|last| last.checked_sub(pid % AT_THE_END))
            .filter(|id| *id > 0)
            .filter(is_there)
            .map_or(Self::Own, Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_have_numbers_of_their_own_where_there_are_some() {
        let all = || IdMap::parse("0 0 4294967295\n");
        let many = || IdMap::parse("0 1000 1\n1 100000 65536\n");
        let one = || IdMap::parse("0 1000 1\n");
        for (users, groups, expected) in [
            (all(), all(), Identity::Other(FIRST + 5000)),
            (many(), many(), Identity::Other(65536 - 904)),
            (all(), many(), Identity::Other(65536 - 904)),
            (one(), one(), Identity::Own),
            (many(), one(), Identity::Own),
        ] {
            assert_eq!(Identity::choose(&users, &groups, 5000), expected);
        }
    }
}
