use launch::Digest;
use sha2::{Digest as _, Sha256};

use crate::snapshot::envelope::FORMAT_VERSION;
use crate::snapshot::{HostIdentity, MachineFacts};

/// The name of a template: a digest of all that, were it another, would make it another machine.
/// So what is found under a name is never stale.
pub(super) fn of(
    facts: &MachineFacts,
    memory_bytes: u64,
    host: &HostIdentity,
) -> Result<Digest, postcard::Error> {
    let MachineFacts {
        vcpus,
        kernel,
        init,
        command_line,
        jaula_version,
        // These change nothing in the machine.
        saved_at_unix_seconds: _,
        label: _,
        // No template has one of these.
        network: _,
        cpus: _,
        cpuset: _,
        has_terminal: _,
    } = facts;
    let machine = (vcpus, kernel, init, command_line, memory_bytes);
    let all = postcard::to_stdvec(&(FORMAT_VERSION, jaula_version, machine, host))?;
    Ok(Digest::from_bytes(&Sha256::digest(all)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring0::Ring0;
    use crate::snapshot::Ring0Kind;

    fn facts() -> MachineFacts {
        MachineFacts {
            vcpus: 1,
            kernel: Digest::from_bytes(&[1]),
            init: Digest::from_bytes(&[2]),
            command_line: "quiet".to_owned(),
            jaula_version: "1.0.0".to_owned(),
            saved_at_unix_seconds: 1,
            label: "a".to_owned(),
            network: None,
            cpus: None,
            cpuset: None,
            has_terminal: false,
        }
    }

    fn host() -> HostIdentity {
        HostIdentity::of_host(Ring0::Emulated {
            instructions_per_second: 1,
        })
    }

    #[test]
    fn whatever_makes_another_machine_makes_another_key() {
        let key =
            |facts: &MachineFacts, memory, host: &HostIdentity| of(facts, memory, host).unwrap();
        let mut keys = vec![key(&facts(), 1, &host()), key(&facts(), 2, &host())];
        for change in [
            (|facts| facts.vcpus = 2) as fn(&mut MachineFacts),
            |facts| facts.kernel = Digest::from_bytes(&[9]),
            |facts| facts.init = Digest::from_bytes(&[9]),
            |facts| facts.command_line.push('x'),
            |facts| facts.jaula_version.push('x'),
        ] {
            let mut facts = facts();
            change(&mut facts);
            keys.push(key(&facts, 1, &host()));
        }
        for change in [
            (|host| host.ring0 = Ring0Kind::Hardware) as fn(&mut HostIdentity),
            |host| host.cpu.model += 1,
            |host| host.cpu.features = Digest::from_bytes(&[9]),
        ] {
            let mut host = host();
            change(&mut host);
            keys.push(key(&facts(), 1, &host));
        }
        let count = keys.len();
        keys.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn when_it_was_made_makes_no_other_key() {
        let mut later = facts();
        later.saved_at_unix_seconds = 2;
        later.label = "b".to_owned();
        assert_eq!(of(&facts(), 1, &host()), of(&later, 1, &host()));
    }
}
