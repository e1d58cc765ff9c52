//! The ports by which an instance is reached from outside.

use std::net::Ipv4Addr;

use host::{InstanceDir, packet_filter};
use launch::{PortMapping, PublishedPort};

use crate::error::Error;
use crate::held_port::HeldPort;
use crate::nft::Nft;
use crate::rules;

/// Ports that are the instance's, and lead nowhere yet.
pub struct Reservation {
    ports: Vec<HeldPort>,
    nft: Nft,
}

impl Reservation {
    /// Takes all of `published`; `None` if that is nothing.
    ///
    /// # Errors
    ///
    /// When one of them is taken, or is not to be had; when there is no nft to make rules.
    pub fn take(published: &[PublishedPort]) -> Result<Option<Self>, Error> {
        if published.is_empty() {
            return Ok(None);
        }
        let ports = published.iter().map(HeldPort::take);
        Ok(Some(Self {
            ports: ports.collect::<Result<_, _>>()?,
            // It loads while other things are done.
            nft: Nft::start()?,
        }))
    }

    /// Makes them lead to the instance at `address`.
    ///
    /// # Errors
    ///
    /// When that can't be noted in the instance's directory, or the rules can't be made.
    pub fn publish(self, address: Ipv4Addr, dir: &InstanceDir) -> Result<Publication, Error> {
        let Self { ports, nft } = self;
        let forwards: Vec<_> = ports.iter().map(|port| port.forward).collect();
        dir.note_address(address)?;
        let publication = Publication { address, ports };
        nft.run(&rules::of_instance(address, &forwards))?;
        Ok(publication)
    }
}

/// Ports that lead to an instance, until this is dropped.
#[derive(Debug)]
pub struct Publication {
    address: Ipv4Addr,
    ports: Vec<HeldPort>,
}

impl Publication {
    /// The ports, with the host's that were chosen where none was asked for.
    pub fn ports(&self) -> impl Iterator<Item = PortMapping> {
        self.ports.iter().map(|port| port.forward.mapping())
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // Before others can have the ports.
        let table = packet_filter::instance_table(self.address);
        if let Err(errno) = packet_filter::remove_table(&table) {
            tracing::warn!(%errno, table, "rules are left behind, for the next run to remove");
        }
    }
}
