use std::fmt;

/// What the kernel can do for a cgroup, by the names that it has for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Limits memory and swap, and is where a footprint is read.
    Memory,
    /// Limits processor time.
    Cpu,
    /// Limits the number of processes and threads.
    Pids,
    /// Says which processors may be used.
    Cpuset,
    /// Counts what is read from and written to block devices.
    Io,
    /// Counts processor time.
    CpuTime,
    /// Stops processes and lets them go on.
    Freezer,
    /// Says which devices may be used.
    Devices,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Memory,
        Self::Cpu,
        Self::Pids,
        Self::Cpuset,
        Self::Io,
        Self::CpuTime,
        Self::Freezer,
        Self::Devices,
    ];

    /// Its name for users, which is the kernel's in version 2 where it has one there.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Cpuset => "cpuset",
            Self::Io => "io",
            Self::CpuTime => "cpuacct",
            Self::Freezer => "freezer",
            Self::Devices => "devices",
        }
    }

    /// The kernel's name for it in version 1.
    fn v1_name(self) -> &'static str {
        match self {
            Self::Io => "blkio",
            other => other.name(),
        }
    }

    /// Whether every cgroup of version 2 can do it, without a controller being handed down to it.
    pub(crate) fn is_built_into_v2(self) -> bool {
        matches!(self, Self::CpuTime | Self::Freezer | Self::Devices)
    }

    /// The controllers of version 1 named in `names`; others are passed over.
    pub(crate) fn listed_v1<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        listed(names, |controller| Some(controller.v1_name()))
    }

    /// The controllers of version 2 named in `names`; others are passed over.
    pub(crate) fn listed_v2<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        listed(names, |controller| {
            (!controller.is_built_into_v2()).then(|| controller.name())
        })
    }
}

fn listed<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    name_of: impl Fn(Controller) -> Option<&'static str>,
) -> Vec<Controller> {
    let names: Vec<_> = names.into_iter().collect();
    Controller::ALL
        .into_iter()
        .filter(|controller| {
            name_of(*controller).is_some_and(|name| names.contains(&name.as_bytes()))
        })
        .collect()
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_names_of_its_own() {
        let names = [&b"io"[..], b"blkio", b"freezer", b"memory", b"hugetlb"];
        assert_eq!(
            Controller::listed_v1(names),
            [Controller::Memory, Controller::Io, Controller::Freezer]
        );
        assert_eq!(
            Controller::listed_v2(names),
            [Controller::Memory, Controller::Io]
        );
    }
}
