//! What the kernel takes on this host for the least of each: no launcher can be quicker, so our
//! figures are to be read beside it.

mod child;
mod measuring;

use kvm_ioctls::Kvm;
use nix::sched::CloneFlags;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use vmm::floor::{self, KvmFloor};

pub use child::Child;
pub use measuring::Measuring;

use crate::quantile;

/// Something that the kernel does, at its least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// What.
    pub what: String,
    /// How often it was done.
    pub times: usize,
    /// The shortest, in nanoseconds: others only ever add to it.
    pub least_ns: u64,
    /// The median, in nanoseconds.
    pub p50_ns: u64,
}

/// All that could be measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floors {
    /// In the order in which they are shown.
    pub floors: Vec<Floor>,
    /// What could not be measured, and why, in one line each.
    pub unknown: Vec<String>,
    /// What measuring adds; `None` if nothing was timed.
    pub measuring: Option<Measuring>,
}

/// How often each child is made.
const CHILDREN: usize = 15;

/// Those that a container has, by their names in namespaces(7).
const NAMESPACES: [(&str, CloneFlags); 6] = [
    ("mount", CloneFlags::CLONE_NEWNS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("network", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
];

/// All of a container's namespaces.
pub fn namespaces() -> CloneFlags {
    NAMESPACES.iter().map(|it| it.1).collect()
}

/// The least children, and what each is called: without new namespaces, with one and with all of
/// them. Who is not root makes each in a user namespace of its own as well.
pub fn children() -> Vec<(String, Child)> {
    let user = if geteuid().is_root() {
        CloneFlags::empty()
    } else {
        CloneFlags::CLONE_NEWUSER
    };
    let with = |(name, flag)| (format!("the same with a new {name} namespace"), flag | user);
    let mut kinds = vec![("clone3, exit, wait".to_owned(), CloneFlags::empty())];
    kinds.extend(NAMESPACES.map(with));
    kinds.push(("the same with all of these".to_owned(), namespaces() | user));
    let child = |(what, flags)| (what, Child::idle(flags));
    kinds.into_iter().map(child).collect()
}

impl Floors {
    /// Measures, in some tenths of a second; of KVM where there is one.
    pub fn measure(kvm: Option<&Kvm>) -> Self {
        let mut floors = Self::default();
        floors.children();
        let of_kvm = kvm.map(floor::measure).transpose();
        match &of_kvm {
            Ok(Some(of_kvm)) => floors.of_kvm(of_kvm),
            Ok(None) => {}
            Err(error) => floors.unknown.push(format!("KVM: {error}")),
        }
        let exits = of_kvm.ok().flatten().map(|it| it.mmio_exit_ns);
        floors.measuring = Measuring::calibrate(exits.as_deref());
        floors
    }

    /// They take turns, so that what disturbs the host disturbs all alike.
    fn children(&mut self) {
        let kinds = children();
        // The first finds nothing in the processor's caches, and is not counted.
        let rounds: Vec<Vec<_>> = (0..=CHILDREN)
            .map(|_| kinds.iter().map(|kind| kind.1.run_once()).collect())
            .skip(1)
            .collect();
        for (index, (what, _)) in kinds.iter().enumerate() {
            let times = rounds.iter().map(|round| match &round[index] {
                Ok(ns) => Ok(*ns),
                Err(error) => Err(error),
            });
            match times.collect::<Result<Vec<_>, _>>() {
                Ok(times) => self.add(what, &times),
                Err(error) => self.unknown.push(format!("{what}: {error}")),
            }
        }
    }

    fn of_kvm(&mut self, of_kvm: &KvmFloor) {
        self.add("KVM_CREATE_VM", &of_kvm.create_vm_ns);
        self.add("exit for a write to a port", &of_kvm.pio_exit_ns);
        self.add(
            "exit for a write to memory that is none",
            &of_kvm.mmio_exit_ns,
        );
        self.add("CPUID in a guest", &of_kvm.cpuid_ns);
    }

    fn add(&mut self, what: &str, times_ns: &[u64]) {
        let least_and_p50 = quantile(times_ns, 0.0).zip(quantile(times_ns, 0.5));
        self.floors
            .extend(least_and_p50.map(|(least_ns, p50_ns)| Floor {
                what: what.to_owned(),
                times: times_ns.len(),
                least_ns,
                p50_ns,
            }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_container_and_a_vm_need_is_measured() {
        let kvm = Kvm::new().ok();
        let Floors {
            floors,
            unknown,
            measuring,
        } = Floors::measure(kvm.as_ref());
        assert!(measuring.is_some_and(|it| it.vm_doorbell_ns.is_some() == kvm.is_some()));
        let wanted = 8 + if kvm.is_some() { 4 } else { 0 };
        assert_eq!(floors.len() + unknown.len(), wanted, "{unknown:?}");
        assert!(floors.iter().all(|it| it.least_ns > 0));
        assert_eq!(floors[0].what, "clone3, exit, wait");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let child = Child::executing(CloneFlags::empty(), "/nowhere".as_ref()).unwrap();
        let error = child.run_once().unwrap_err().to_string();
        assert!(error.contains("127"), "{error}");
    }
}
