use std::fmt;

/// The controllers that an instance needs, by the names that both cgroup versions give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Limits memory, and is where a footprint is read.
    Memory,
    /// Limits processor time.
    Cpu,
    /// Limits the number of processes and threads.
    Pids,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }

    /// The controllers named in `names`; others are passed over.
    pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        let names: Vec<_> = names.into_iter().collect();
        Self::ALL
            .into_iter()
            .filter(|controller| names.contains(&controller.name().as_bytes()))
            .collect()
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
