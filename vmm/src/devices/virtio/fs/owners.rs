//! Whose files are: the guest's users and the host's.
//!
//! A monitor of root's gives files to whom the guest says, as a container of root's does. An
//! ordinary user's can only make files of that user's: those are root's in the guest, as in a
//! container of that user's, and all others are nobody's.

use nix::unistd::{Gid, Uid, getegid, geteuid, setfsgid, setfsuid};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::umask;
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, set_capabilities, unshare_unsafe};

/// Whom a file belongs to that has no owner in the guest (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65534;
/// "Not changed", to chown(2).
const UNCHANGED: u32 = u32::MAX;

/// A user and a group, by the guest's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Which of the host's users a guest's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owners {
    /// Those with the same numbers.
    Same,
    /// Root is this one, and nobody else is anybody.
    One(Owner),
}

impl Owners {
    /// As this process can have it.
    pub(super) fn of_process() -> Self {
        match geteuid().is_root() {
            true => Self::Same,
            false => Self::One(Owner {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
            }),
        }
    }

    /// How the guest sees an owner of the host's.
    pub(super) fn shown(self, host: Owner) -> Owner {
        let of = |own, id| match own == id {
            true => 0,
            false => NOBODY,
        };
        match self {
            Self::Same => host,
            Self::One(own) => Owner {
                uid: of(own.uid, host.uid),
                gid: of(own.gid, host.gid),
            },
        }
    }

    /// Whom a file is given to on the host; `None` stays.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it can't be given to them, as of a user namespace without them.
    pub(super) fn to_host(
        self,
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> Result<(Option<u32>, Option<u32>), Errno> {
        let of = |own, id| match id {
            None => Ok(None),
            Some(0) => Ok(Some(own)),
            Some(_) => Err(Errno::INVAL),
        };
        match self {
            // What means "not changed" is nobody's number.
            Self::Same if uid == Some(UNCHANGED) || gid == Some(UNCHANGED) => Err(Errno::INVAL),
            Self::Same => Ok((uid, gid)),
            Self::One(own) => Ok((of(own.uid, uid)?, of(own.gid, gid)?)),
        }
    }

    /// Lets `make` make a file that is to be `owner`'s, with the guest's `mask` in place of ours.
    pub(super) fn make_for<T>(
        self,
        owner: Owner,
        mask: u32,
        make: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let _identity = match self {
            Self::Same => Some(Borrowed::take(owner)?),
            Self::One(_) => None,
        };
        // This thread's alone: see `own_thread`.
        let before = umask(Mode::from_raw_mode(mask & 0o777));
        let made = make();
        umask(before);
        made
    }
}

/// A user and a group that this thread makes files as, as long as it lives.
struct Borrowed(Owner);

impl Borrowed {
    fn take(owner: Owner) -> Result<Self, Errno> {
        let before = Owner {
            uid: setfsuid(Uid::from_raw(owner.uid)).as_raw(),
            gid: setfsgid(Gid::from_raw(owner.gid)).as_raw(),
        };
        let taken = Self(before);
        // Neither call says whether it did anything; asked for what nobody has, each tells what
        // is (`setfsuid(2)`).
        let now = Owner {
            uid: setfsuid(Uid::from_raw(UNCHANGED)).as_raw(),
            gid: setfsgid(Gid::from_raw(UNCHANGED)).as_raw(),
        };
        match now == owner {
            true => Ok(taken),
            false => Err(Errno::OVERFLOW),
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        setfsuid(Uid::from_raw(self.0.uid));
        setfsgid(Gid::from_raw(self.0.gid));
    }
}

/// Gives the calling thread a umask of its own.
///
/// It has to keep its rights when it makes files as others, since who may make what where, the
/// guest's kernel has decided: the [jail](crate::jail) sees to that, where there are rights.
pub(super) fn own_thread() {
    // SAFETY: neither descriptors nor memory are unshared; the working directory and the root,
    // which are, this process does not change any more.
    if let Err(errno) = unsafe { unshare_unsafe(UnshareFlags::FS) } {
        tracing::warn!("the shares' thread has no umask of its own: {errno}");
    }
}

/// Lets `write` write to a file as those do who may not leave set-user-ID bits on it: the kernel
/// takes them away.
pub(super) fn without_setid<T>(write: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let before = capabilities(None)?;
    let mut without = before;
    without.effective.remove(CapabilitySet::FSETID);
    set_capabilities(None, without)?;
    let written = write();
    // It is permitted still, so this can't fail.
    set_capabilities(None, before)?;
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Owners = Owners::One(Owner {
        uid: 1000,
        gid: 100,
    });

    #[test]
    fn an_ordinary_user_is_root_and_others_are_nobody() {
        let shown = |uid, gid| {
            let Owner { uid, gid } = USER.shown(Owner { uid, gid });
            (uid, gid)
        };
        assert_eq!(shown(1000, 100), (0, 0));
        assert_eq!(shown(0, 100), (NOBODY, 0));
        assert_eq!(shown(1000, 1000), (0, NOBODY));
    }

    #[test]
    fn files_are_given_to_whom_the_host_can_give_them() {
        for (owners, uid, gid, expected) in [
            (Owners::Same, Some(7), None, Ok((Some(7), None))),
            (Owners::Same, Some(u32::MAX), None, Err(Errno::INVAL)),
            (USER, Some(0), Some(0), Ok((Some(1000), Some(100)))),
            (USER, None, Some(0), Ok((None, Some(100)))),
            (USER, Some(1000), None, Err(Errno::INVAL)),
            (USER, None, Some(5), Err(Errno::INVAL)),
        ] {
            assert_eq!(owners.to_host(uid, gid), expected, "{uid:?} {gid:?}");
        }
    }
}
