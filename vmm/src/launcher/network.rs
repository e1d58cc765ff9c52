//! What connects a machine, from before its monitor is started to its end.

use std::os::fd::{AsFd, OwnedFd};

use entry::NameFiles;
use guest_protocol::Interface;
use host::{InstanceDir, user_namespace};
use launch::{Network, Workload};
use network::{OnBridge, Reservation, Tap};

use super::error::Error;
use crate::monitor::NetworkLink;

/// Refuses what only root can have.
pub(super) fn check(network: &Network) -> Result<(), Error> {
    let what = match network {
        Network::None | Network::Host => return Ok(()),
        Network::Bridge { publish } if publish.is_empty() => "--network bridge with --as vm",
        Network::Bridge { .. } => "--publish with --as vm",
    };
    match user_namespace::caller().is_root() {
        true => Ok(()),
        false => Err(Error::NetworkOfRoot(what)),
    }
}

/// A network that is to be made.
pub(super) enum Wanted {
    /// None.
    Nothing,
    /// A place on the bridge, and these ports.
    Bridge(Option<Reservation>),
}

impl Wanted {
    /// Takes the ports: whoever has one of them already is to be told before anything else.
    pub(super) fn take(network: &Network) -> Result<Self, network::Error> {
        match network {
            // What shares the host's network is refused before.
            Network::None | Network::Host => Ok(Self::Nothing),
            Network::Bridge { publish } => Reservation::take(publish).map(Self::Bridge),
        }
    }

    /// Makes it.
    pub(super) fn connect(
        self,
        dir: &InstanceDir,
    ) -> Result<Option<OnBridge<Tap>>, network::Error> {
        match self {
            Self::Nothing => Ok(None),
            Self::Bridge(ports) => OnBridge::join_with_tap(ports, dir).map(Some),
        }
    }
}

/// What the command looks names up in.
pub(super) fn files(
    on_bridge: Option<&OnBridge<Tap>>,
    workload: &Workload,
) -> Result<NameFiles, network::Error> {
    let Workload {
        hostname, names, ..
    } = workload;
    match on_bridge {
        Some(on_bridge) => on_bridge.files(hostname, names),
        None => network::files_without_network(hostname, names),
    }
}

/// What the monitor is told of it.
pub(super) fn link(on_bridge: &OnBridge<Tap>) -> Result<NetworkLink<OwnedFd>, Error> {
    let connection = on_bridge.connection();
    let tap = on_bridge.end().as_fd().try_clone_to_owned();
    Ok(NetworkLink {
        tap: tap.map_err(Error::Tap)?,
        // No interface of the guest's takes longer ones.
        mtu: u16::try_from(on_bridge.mtu()).unwrap_or(u16::MAX),
        interface: Interface {
            ethernet_address: connection.ethernet_address(),
            address: connection.address(),
            prefix_length: on_bridge.prefix_length(),
            gateway: on_bridge.gateway(),
        },
    })
}
