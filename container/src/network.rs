//! What connects a container, from before its process is made to its end.
//!
//! Root's network namespace on the bridge is made beside the cgroup, by the launcher, and is
//! complete before the container's process enters it: so the process has nothing to wait for, and
//! what listens in it is reached from its first moment on.

use std::mem;
use std::os::fd::{AsFd, OwnedFd};

use entry::{NameFiles, Privileges, Sysfs};
use host::{InstanceDir, Placement};
use launch::{CapabilitySet, Endpoint, Network, NetworkRate, Workload};
use network::{
    Namespace, OnBridge, PendingNamespace, Reservation, UserMode, UserModePorts,
    UserModeReservation,
};
use nix::unistd::Pid;

use crate::error::Error;

/// A network that is being made.
pub(crate) enum Pending {
    /// There is nothing to make.
    None,
    /// All that the host has.
    Host,
    /// A place on the bridge.
    Bridge {
        reservation: Option<Reservation>,
        namespace: PendingNamespace,
        rate: Option<NetworkRate>,
    },
    /// A program beside the container, which is started when that is there.
    UserMode(UserModeReservation),
}

/// What the container's process does about it.
pub(crate) enum NetworkNamespace {
    /// It gets a new one, in which it brings the loopback interface up.
    New,
    /// It enters this one, which is complete.
    Made(OwnedFd),
    /// It stays in the host's.
    Host,
}

/// A network that is there. Dropping it takes away what the host has of it.
pub(crate) enum Connected {
    /// There is only the loopback interface.
    None,
    /// All that the host has.
    Host,
    /// A place on the bridge.
    Bridge(OnBridge<Namespace>),
    /// A program that is still to be started.
    UserModeToBe(UserModePorts),
    /// A program beside the container.
    UserMode(UserMode),
}

impl Pending {
    /// Begins to make what `network` says, with its ports taken first: whoever has one of them
    /// already is to be told before anything else.
    pub(crate) fn begin(
        network: &Network,
        privileges: Privileges,
        capabilities: CapabilitySet,
    ) -> Result<Self, network::Error> {
        match (network, privileges) {
            (Network::None, _) => Ok(Self::None),
            (Network::Host, _) => Ok(Self::Host),
            (Network::Bridge { rate: Some(_), .. }, Privileges::UserNamespace(_)) => {
                Err(network::Error::RateOfRoot)
            }
            (
                Network::Bridge {
                    publish,
                    rate: None,
                },
                Privileges::UserNamespace(_),
            ) => UserModeReservation::take(publish).map(Self::UserMode),
            (Network::Bridge { rate: Some(_), .. }, _) if capabilities.has("NET_ADMIN") => {
                Err(network::Error::RateOfAdministrator)
            }
            (Network::Bridge { publish, rate }, Privileges::Root) => Ok(Self::Bridge {
                rate: *rate,
                reservation: Reservation::take(publish)?,
                namespace: Namespace::begin()?,
            }),
        }
    }

    /// Waits until it is made, and makes the rest.
    pub(crate) fn finish(self, dir: &InstanceDir) -> Result<Connected, network::Error> {
        Ok(match self {
            Self::None => Connected::None,
            Self::Host => Connected::Host,
            Self::UserMode(reservation) => Connected::UserModeToBe(reservation.release()),
            Self::Bridge {
                reservation,
                namespace,
                rate,
            } => Connected::Bridge(OnBridge::join(namespace.finish()?, reservation, dir, rate)?),
        })
    }
}

impl Connected {
    /// Whether the container's process has to wait for [`Connected::complete`].
    pub(crate) fn is_incomplete(&self) -> bool {
        matches!(self, Self::UserModeToBe(_))
    }

    /// Does what can only be done when there is a process, `pid`, in the container's namespaces.
    pub(crate) fn complete(
        &mut self,
        pid: Pid,
        dir: &InstanceDir,
        placement: &Placement,
    ) -> Result<(), Error> {
        *self = match mem::replace(self, Self::None) {
            Self::UserModeToBe(ports) => {
                let entrance = placement
                    .cgroup()
                    .map(|cgroup| cgroup.entrance())
                    .transpose()?;
                Self::UserMode(UserMode::connect(pid, ports, dir, entrance)?)
            }
            complete => complete,
        };
        Ok(())
    }

    /// Whether it was made before the container's process.
    pub(crate) fn is_made_by_launcher(&self) -> bool {
        matches!(self, Self::Bridge(_))
    }

    /// What the container's process does about it.
    pub(crate) fn namespace(&self) -> Result<NetworkNamespace, Error> {
        Ok(match self {
            Self::None | Self::UserModeToBe(_) | Self::UserMode(_) => NetworkNamespace::New,
            Self::Host => NetworkNamespace::Host,
            Self::Bridge(on_bridge) => {
                let file = on_bridge.end().as_fd().try_clone_to_owned();
                NetworkNamespace::Made(file.map_err(Error::NetworkNamespace)?)
            }
        })
    }

    /// Where the container is found.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::None | Self::Host | Self::UserModeToBe(_) => None,
            Self::Bridge(on_bridge) => Some(on_bridge.endpoint()),
            Self::UserMode(user_mode) => Some(user_mode.endpoint()),
        }
    }

    /// Where the container's `/sys` comes from.
    pub(crate) fn sysfs(&self, privileges: Privileges) -> Sysfs {
        match (self, privileges) {
            (Self::Host, Privileges::UserNamespace(_)) => Sysfs::Borrowed,
            _ => Sysfs::New,
        }
    }

    /// What names are looked up in.
    pub(crate) fn files(&self, workload: &Workload) -> Result<NameFiles, network::Error> {
        let Workload {
            hostname, names, ..
        } = workload;
        match self {
            Self::None => network::files_without_network(hostname, names),
            Self::Host => network::files_on_host(hostname, names),
            Self::UserModeToBe(_) | Self::UserMode(_) => {
                network::files_in_user_mode(hostname, names)
            }
            Self::Bridge(on_bridge) => on_bridge.files(hostname, names),
        }
    }
}
