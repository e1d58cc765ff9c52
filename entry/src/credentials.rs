//! Whom the command runs as, and with which privileges.

use std::os::fd::BorrowedFd;

use launch::{CapabilitySet, Credentials, Security};

use crate::failure::{At, Failure, Step};
use crate::syscall::{self, Errno};

/// The user, the groups and the capabilities of the command.
pub(crate) struct Identity {
    credentials: Credentials,
    /// The group and the supplementary ones: if it were not one of those, a set-group-ID program
    /// would get rid of it, and so get past files that are closed to it (CVE-2022-36109).
    groups: Vec<u32>,
    /// Not where the kernel does not let them be set: in a user namespace whose groups were not
    /// mapped by somebody who may (`user_namespaces(7)`).
    set_groups: bool,
    capabilities: CapabilitySet,
    no_new_privileges: bool,
}

impl Identity {
    pub(crate) fn new(credentials: &Credentials, set_groups: bool, security: &Security) -> Self {
        let others = credentials.groups.iter().copied();
        let others = others.filter(|group| *group != credentials.gid);
        Self {
            credentials: credentials.clone(),
            groups: std::iter::once(credentials.gid).chain(others).collect(),
            set_groups,
            capabilities: security.capabilities,
            no_new_privileges: security.no_new_privileges,
        }
    }

    /// What the command may do beyond its user's rights: root has the set, others nothing, as in
    /// docker, and no one can have more.
    fn effective(&self) -> CapabilitySet {
        if self.credentials.uid == 0 {
            self.capabilities
        } else {
            CapabilitySet::NONE
        }
    }

    /// Whether the command can gain privileges by `execve`.
    pub(crate) fn can_gain_privileges(&self) -> bool {
        !self.no_new_privileges
    }

    /// Makes the user the owner of a file that the caller has made.
    pub(crate) fn take_over(&self, file: BorrowedFd<'_>) -> syscall::Result<()> {
        // Where there are no others, the file is the user's already.
        if self.set_groups && self.credentials.uid != 0 {
            syscall::give_open_file(file, self.credentials.uid)?;
        }
        Ok(())
    }

    /// Becomes it.
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        // What nothing that is executed may ever have. Needs CAP_SETPCAP, so before the user.
        reduce_bounding_set(self.capabilities).at(Step::BoundingSet)?;
        // Groups before the user: they need CAP_SETGID, which goes with user 0.
        if self.set_groups {
            syscall::set_groups(&self.groups).at(Step::Groups)?;
        }
        syscall::set_group(self.credentials.gid).at(Step::Group)?;
        syscall::set_user(self.credentials.uid).at(Step::User)?;
        // After the user: a change from 0 to another empties the sets, one from 0 to 0 does not.
        syscall::set_capabilities(self.effective().bits()).at(Step::Capabilities)?;
        // Last of all privileges: execve gives no more than is held by now, whatever bits and
        // attributes the image's files have.
        if self.no_new_privileges {
            syscall::set_no_new_privileges().at(Step::NoNewPrivileges)?;
        }
        Ok(())
    }
}

fn reduce_bounding_set(set: CapabilitySet) -> syscall::Result<()> {
    let is_out = |capability: &u32| set.bits() >> capability & 1 == 0;
    for capability in (0..u64::BITS).filter(is_out) {
        match syscall::drop_from_bounding_set(capability) {
            // The first one that this kernel does not know ends them.
            Err(Errno(libc::EINVAL)) => break,
            result => result?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uid: u32) -> Identity {
        let credentials = Credentials {
            uid,
            ..Credentials::default()
        };
        Identity::new(&credentials, true, &Security::default())
    }

    #[test]
    fn the_group_is_among_the_supplementary_ones_once() {
        for (groups, expected) in [
            (&[][..], &[7][..]),
            (&[8, 9], &[7, 8, 9]),
            (&[8, 7], &[7, 8]),
        ] {
            let credentials = Credentials {
                gid: 7,
                groups: groups.into(),
                ..Credentials::default()
            };
            let identity = Identity::new(&credentials, true, &Security::default());
            assert_eq!(identity.groups, expected);
        }
    }

    #[test]
    fn root_has_the_capabilities_that_are_given_and_others_have_none() {
        assert_eq!(identity(0).effective(), CapabilitySet::default());
        assert_eq!(identity(1000).effective(), CapabilitySet::NONE);
    }
}
