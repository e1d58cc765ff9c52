//! Whom the command runs as, and with which privileges.

use launch::Credentials;

use crate::failure::{At, Failure, Step};
use crate::syscall::{self, Errno};

/// docker's default set (`oci/caps/defaults.go` of moby), numbers of
/// `include/uapi/linux/capability.h`.
const DEFAULT_CAPABILITIES: [u32; 14] = [
    0,  // CHOWN
    1,  // DAC_OVERRIDE
    3,  // FOWNER
    4,  // FSETID
    5,  // KILL
    6,  // SETGID
    7,  // SETUID
    8,  // SETPCAP
    10, // NET_BIND_SERVICE
    13, // NET_RAW
    18, // SYS_CHROOT
    27, // MKNOD
    29, // AUDIT_WRITE
    31, // SETFCAP
];

const fn default_set() -> u64 {
    let mut set = 0;
    let mut index = 0;
    while index < DEFAULT_CAPABILITIES.len() {
        set |= 1 << DEFAULT_CAPABILITIES[index];
        index += 1;
    }
    set
}

/// The user, the groups and the capabilities of the command.
pub(crate) struct Identity {
    credentials: Credentials,
    /// `None` where the kernel does not let them be set: in a user namespace that an ordinary
    /// user made (`user_namespaces(7)`).
    set_groups: bool,
}

impl Identity {
    pub(crate) fn new(credentials: &Credentials, set_groups: bool) -> Self {
        Self {
            credentials: credentials.clone(),
            set_groups,
        }
    }

    /// What the command may do beyond its user's rights: root has the default set, others
    /// nothing, and no one can have more.
    fn effective(&self) -> u64 {
        if self.credentials.uid == 0 {
            default_set()
        } else {
            0
        }
    }

    /// Becomes it.
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        // Groups before the user: they need CAP_SETGID, which goes with user 0.
        if self.set_groups {
            syscall::set_groups(&self.credentials.groups).at(Step::Groups)?;
        }
        syscall::set_group(self.credentials.gid).at(Step::Group)?;
        syscall::set_user(self.credentials.uid).at(Step::User)?;
        // After the user: a change from 0 to another empties the sets, one from 0 to 0 does not.
        syscall::set_capabilities(self.effective()).at(Step::Capabilities)?;
        // Last of all privileges: execve gives no more than is held by now, whatever bits and
        // attributes the image's files have.
        syscall::set_no_new_privileges().at(Step::NoNewPrivileges)
    }
}

/// Takes away what nothing that is executed may ever have. Needs CAP_SETPCAP, so it comes before
/// the user is changed.
pub(crate) fn reduce_bounding_set() -> syscall::Result<()> {
    let set = default_set();
    for capability in (0..u64::BITS).filter(|capability| set >> capability & 1 == 0) {
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
        Identity::new(&credentials, true)
    }

    #[test]
    fn root_has_dockers_default_capabilities_and_others_have_none() {
        assert_eq!(identity(0).effective(), 0x0000_0000_a804_25fb);
        assert_eq!(identity(1000).effective(), 0);
    }
}
