use std::fmt;

use launch::Side;
use serde::{Deserialize, Serialize};

/// One of the ways in which a comparison runs a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As a container.
    Container,
    /// As a VM that boots its kernel.
    VmCold,
    /// As a VM that goes on from a template, where a kernel like its own has booted.
    VmWarm,
}

impl Way {
    /// Which launcher's instances these are.
    pub fn side(self) -> Side {
        match self {
            Self::Container => Side::Container,
            Self::VmCold | Self::VmWarm => Side::Vm,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::VmCold => "vm cold",
            Self::VmWarm => "vm warm",
        })
    }
}
