use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Way;

/// One that takes turns in a series of timed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// A container of ours.
    Container,
    /// A VM of ours that goes on from a template.
    VmWarm,
    /// A VM of ours that boots its kernel.
    VmCold,
}

impl Contender {
    /// The one that this is held against: what a user asks is what a VM costs in place of a
    /// container.
    pub fn reference(self) -> Option<Self> {
        match self {
            Self::Container => None,
            Self::VmWarm | Self::VmCold => Some(Self::Container),
        }
    }
}

impl From<Way> for Contender {
    fn from(way: Way) -> Self {
        match way {
            Way::Container => Self::Container,
            Way::VmCold => Self::VmCold,
            Way::VmWarm => Self::VmWarm,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container => Way::Container.fmt(f),
            Self::VmWarm => Way::VmWarm.fmt(f),
            Self::VmCold => Way::VmCold.fmt(f),
        }
    }
}
