//! What connects a machine, from before its monitor is started to its end.

use std::os::fd::{AsFd, OwnedFd};

use entry::NameFiles;
use guest_protocol::Interface;
use host::{InstanceDir, Placement, user_namespace};
use launch::{Endpoint, Network, NetworkRate, Workload};
use network::{OnBridge, Reservation, Tap, TapInUserMode, UserModeReservation};

use super::error::Error;
use crate::monitor::NetworkLink;

/// A network that is to be made.
pub(super) enum Wanted {
    /// None.
    Nothing,
    /// A place on the bridge, and these ports.
    Bridge(Option<Reservation>),
    /// A program beside the monitor, and these ports.
    UserMode(UserModeReservation),
}

/// A network that is there. Dropping it takes away what the host has of it.
pub(super) enum Connected {
    /// A place on the bridge.
    Bridge(OnBridge<Tap>),
    /// A program beside the monitor, where an ordinary user started it.
    UserMode(TapInUserMode),
}

impl Wanted {
    /// Takes the ports: whoever has one of them already is to be told before anything else.
    pub(super) fn take(network: &Network) -> Result<Self, network::Error> {
        match network {
            // What shares the host's network is refused before.
            Network::None | Network::Host => Ok(Self::Nothing),
            Network::Bridge { publish, .. } if user_namespace::caller().is_root() => {
                Reservation::take(publish).map(Self::Bridge)
            }
            Network::Bridge { publish, .. } => {
                UserModeReservation::take(publish).map(Self::UserMode)
            }
        }
    }

    /// Makes it. A program for it joins the cgroup.
    pub(super) fn connect(
        self,
        dir: &InstanceDir,
        placement: &Placement,
    ) -> Result<Option<Connected>, launch::Error> {
        Ok(match self {
            Self::Nothing => None,
            Self::Bridge(ports) => Some(Connected::Bridge(OnBridge::join_with_tap(ports, dir)?)),
            Self::UserMode(ports) => {
                let cgroup = placement.cgroup();
                let entrance = cgroup.map(|cgroup| cgroup.entrance()).transpose()?;
                let tap = TapInUserMode::connect(ports.release(), dir, entrance)?;
                Some(Connected::UserMode(tap))
            }
        })
    }
}

/// What the command looks names up in.
pub(super) fn files(
    connected: Option<&Connected>,
    workload: &Workload,
) -> Result<NameFiles, network::Error> {
    let Workload {
        hostname, names, ..
    } = workload;
    match connected {
        Some(Connected::Bridge(on_bridge)) => on_bridge.files(hostname, names),
        Some(Connected::UserMode(_)) => network::files_in_user_mode(hostname, names),
        None => network::files_without_network(hostname, names),
    }
}

impl Connected {
    /// Where the machine is found.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Bridge(on_bridge) => on_bridge.endpoint(),
            Self::UserMode(tap) => tap.endpoint(),
        }
    }

    /// What the monitor is told of it, and of how much may pass.
    pub(super) fn link(&self, rate: Option<NetworkRate>) -> Result<NetworkLink<OwnedFd>, Error> {
        let (tap, mtu, interface) = match self {
            Self::Bridge(on_bridge) => {
                let connection = on_bridge.connection();
                let interface = Interface {
                    ethernet_address: connection.ethernet_address(),
                    address: connection.address(),
                    prefix_length: on_bridge.prefix_length(),
                    gateway: on_bridge.gateway(),
                };
                (on_bridge.end(), on_bridge.mtu(), interface)
            }
            Self::UserMode(tap) => {
                let interface = Interface {
                    ethernet_address: tap.ethernet_address(),
                    address: tap.address(),
                    prefix_length: tap.prefix_length(),
                    gateway: tap.gateway(),
                };
                (tap.tap(), tap.mtu(), interface)
            }
        };
        Ok(NetworkLink {
            tap: tap.as_fd().try_clone_to_owned().map_err(Error::Tap)?,
            // No interface of the guest's takes longer ones.
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            rate: rate.map(NetworkRate::bytes_per_s),
            interface,
        })
    }
}
