use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Metric, Way};

/// What QEMU is called.
const QEMU: &str = "qemu";

/// One that takes turns in a series of timed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// A plain process of the host's with the image as its root.
    HostProcess,
    /// A container of ours.
    Container,
    /// A VM of ours that boots its kernel.
    VmCold,
    /// A VM of ours that goes on from a template.
    VmWarm,
    /// `jaula run` as a whole process, from its execution to its end, as a container: what other
    /// runners are held against.
    JaulaRun,
    /// The same as a VM that boots its kernel.
    JaulaRunVmCold,
    /// The same as a VM that goes on from a template.
    JaulaRunVmWarm,
    /// Another runner, as a whole process.
    Peer(Peer),
    /// QEMU as a whole process: another monitor, for the guest that ours boots.
    Qemu,
}

impl Contender {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let ours = [
            Self::HostProcess,
            Self::Container,
            Self::VmCold,
            Self::VmWarm,
            Self::JaulaRun,
            Self::JaulaRunVmCold,
            Self::JaulaRunVmWarm,
        ];
        let peers = Peer::ALL.map(Self::Peer);
        ours.into_iter().chain(peers).chain([Self::Qemu])
    }

    /// `jaula run` as a whole process, this way.
    pub fn jaula_run(way: Way) -> Self {
        match way {
            Way::Container => Self::JaulaRun,
            Way::VmCold => Self::JaulaRunVmCold,
            Way::VmWarm => Self::JaulaRunVmWarm,
        }
    }

    /// Which way a `jaula run` goes; `None` if it is none.
    pub fn way_of_jaula_run(self) -> Option<Way> {
        let ways = [Way::Container, Way::VmCold, Way::VmWarm];
        ways.into_iter().find(|way| Self::jaula_run(*way) == self)
    }

    /// The one that this is held against. What a user asks is what a VM costs in place of a
    /// container, that in place of nothing, and jaula's program in place of `launch()` alone.
    pub fn reference(self) -> Option<Self> {
        match self {
            Self::HostProcess => None,
            Self::JaulaRun | Self::JaulaRunVmCold | Self::JaulaRunVmWarm => {
                self.way_of_jaula_run().map(Self::from)
            }
            Self::Container => Some(Self::HostProcess),
            Self::VmCold | Self::VmWarm => Some(Self::Container),
            Self::Peer(_) => Some(Self::JaulaRun),
            Self::Qemu => Some(Self::VmCold),
        }
    }

    /// Whether it is timed from the execution of its program, where the others are from the entry
    /// of `launch()`.
    pub fn is_whole_process(self) -> bool {
        matches!(self, Self::Peer(_) | Self::Qemu) || self.way_of_jaula_run().is_some()
    }

    /// Whether there can be a figure of this kind: when the command starts only jaula tells, and what
    /// has no cgroup of its own has no memory and no processor time of its own.
    pub fn has(self, metric: Metric) -> bool {
        match metric {
            Metric::Ready | Metric::Exit => true,
            Metric::Main => !matches!(self, Self::Peer(_) | Self::Qemu),
            Metric::Stop | Metric::Gone => !self.is_whole_process(),
            Metric::Memory | Metric::Idle | Metric::Cpu => {
                matches!(self, Self::Container | Self::VmCold | Self::VmWarm)
            }
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
            Self::HostProcess => f.write_str("host process"),
            Self::Container => Way::Container.fmt(f),
            Self::VmCold => Way::VmCold.fmt(f),
            Self::VmWarm => Way::VmWarm.fmt(f),
            Self::JaulaRun => f.write_str("jaula run"),
            Self::JaulaRunVmCold => write!(f, "jaula run, {}", Way::VmCold),
            Self::JaulaRunVmWarm => write!(f, "jaula run, {}", Way::VmWarm),
            Self::Peer(peer) => peer.fmt(f),
            Self::Qemu => f.write_str(QEMU),
        }
    }
}

/// No one of this name takes part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {0:?}: there are {words}", words = words())]
pub struct UnknownContender(String);

fn words() -> String {
    Contender::all()
        .map(|it| it.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// By the words that reports have for it.
impl FromStr for Contender {
    type Err = UnknownContender;

    fn from_str(words: &str) -> Result<Self, UnknownContender> {
        let found = Self::all().find(|contender| contender.to_string() == words);
        found.ok_or_else(|| UnknownContender(words.to_owned()))
    }
}

/// Another program that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// The reference runtime of the Open Container Initiative.
    Runc,
    /// A runtime in C.
    Crun,
    /// A runtime in Rust.
    Youki,
    /// bubblewrap: namespaces and mounts, no cgroup.
    Bwrap,
}

impl Peer {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Runc, Self::Crun, Self::Youki, Self::Bwrap];

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Youki => "youki",
            Self::Bwrap => "bwrap",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// What else a comparison can be against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opponent {
    /// Nobody beside the three ways.
    Nobody,
    /// [`Contender::HostProcess`], as the user of the workload.
    Host,
    /// `jaula run` each way; [`Contender::JaulaRun`] takes part beside any peer as well.
    Jaula,
    /// [`Contender::Peer`], and with it [`Contender::JaulaRun`].
    Peer(Peer),
    /// [`Contender::Qemu`].
    Qemu,
}

/// There is none of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing can be compared against {0:?}: there are none, host, jaula, runc, crun, youki, bwrap, qemu"
)]
pub struct UnknownOpponent(String);

impl FromStr for Opponent {
    type Err = UnknownOpponent;

    fn from_str(word: &str) -> Result<Self, UnknownOpponent> {
        match word {
            "none" => return Ok(Self::Nobody),
            "host" => return Ok(Self::Host),
            "jaula" => return Ok(Self::Jaula),
            QEMU => return Ok(Self::Qemu),
            _ => {}
        }
        let peer = Peer::ALL.into_iter().find(|peer| peer.program() == word);
        peer.map(Self::Peer)
            .ok_or_else(|| UnknownOpponent(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_words_and_another_is_refused() {
        for contender in Contender::all() {
            assert_eq!(contender.to_string().parse(), Ok(contender));
        }
        let error = "vm".parse::<Contender>().unwrap_err().to_string();
        assert!(error.starts_with("there is no \"vm\": there are host process, container,"));
    }

    #[test]
    fn opponents_are_found_by_their_words_and_others_refused() {
        assert_eq!("none".parse(), Ok(Opponent::Nobody));
        assert_eq!("host".parse(), Ok(Opponent::Host));
        assert_eq!("jaula".parse(), Ok(Opponent::Jaula));
        assert_eq!("qemu".parse(), Ok(Opponent::Qemu));
        for peer in Peer::ALL {
            assert_eq!(peer.program().parse(), Ok(Opponent::Peer(peer)));
        }
        let error = "docker".parse::<Opponent>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "nothing can be compared against \"docker\": there are none, host, jaula, runc, crun, youki, bwrap, qemu"
        );
    }
}
