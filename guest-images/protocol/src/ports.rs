use crate::SessionNumber;

/// The vsock ports of the host that a guest connects to for one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Framed messages, both ways.
    pub control: u32,
    /// The command's standard input, host to guest.
    pub stdin: u32,
    /// The command's standard output, guest to host.
    pub stdout: u32,
    /// The command's standard error, guest to host.
    pub stderr: u32,
}

/// The first of all: none that a service is known by (RFC 6335, section 6).
const FIRST: u32 = 1024;

/// Ports of one command.
const EACH: u32 = 4;

impl Ports {
    /// Those of the command that the guest is started for.
    pub const COMMAND: Self = Self::from(FIRST);

    /// Those of a session's command.
    pub fn of(session: SessionNumber) -> Self {
        Self::from(FIRST + EACH * (u32::from(session.0) + 1))
    }

    const fn from(first: u32) -> Self {
        Self {
            control: first,
            stdin: first + 1,
            stdout: first + 2,
            stderr: first + 3,
        }
    }

    /// All four.
    pub fn all(self) -> [u32; EACH as usize] {
        [self.control, self.stdin, self.stdout, self.stderr]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_commands_share_a_port() {
        let sessions = (0..=u8::MAX).map(|number| Ports::of(SessionNumber(number)));
        let all: Vec<_> = sessions
            .chain([Ports::COMMAND])
            .flat_map(Ports::all)
            .collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
