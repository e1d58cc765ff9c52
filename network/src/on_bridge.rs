//! An instance's place on the bridge, with all that the host has of it.

use std::net::Ipv4Addr;

use entry::NameFiles;
use host::InstanceDir;
use launch::{Endpoint, Hostname, Names, NetworkRate};

use crate::bridge::{Bridge, Connection};
use crate::error::Error;
use crate::name_files::files_on_bridge;
use crate::namespace::Namespace;
use crate::publication::{Publication, Reservation};
use crate::tap::Tap;

/// A place on the bridge, to which published ports lead, and the instance's end of the link.
///
/// Dropped from top to bottom: the ways in, then the link, then what it leads to.
#[derive(Debug)]
pub struct OnBridge<End> {
    publication: Option<Publication>,
    connection: Connection,
    gateway: Ipv4Addr,
    prefix_length: u8,
    mtu: u32,
    end: End,
}

impl OnBridge<Namespace> {
    /// Connects a network namespace, and makes ports lead to it. Each way no more passes than `rate`.
    ///
    /// # Errors
    ///
    /// When the bridge, the link or the rules can't be made.
    pub fn join(
        mut namespace: Namespace,
        ports: Option<Reservation>,
        dir: &InstanceDir,
        rate: Option<NetworkRate>,
    ) -> Result<Self, Error> {
        let mut bridge = Bridge::open()?;
        let connection = bridge.connect(&mut namespace, dir.id(), rate)?;
        Self::publish(&bridge, connection, namespace, ports, dir)
    }
}

impl OnBridge<Tap> {
    /// Makes a tap, and makes ports lead to it. Whoever has it gives the interface at its other
    /// end the address, and a way out.
    ///
    /// # Errors
    ///
    /// When the bridge, the link or the rules can't be made.
    pub fn join_with_tap(ports: Option<Reservation>, dir: &InstanceDir) -> Result<Self, Error> {
        let mut bridge = Bridge::open()?;
        let (connection, tap) = bridge.connect_tap(dir.id())?;
        Self::publish(&bridge, connection, tap, ports, dir)
    }
}

impl<End> OnBridge<End> {
    fn publish(
        bridge: &Bridge,
        connection: Connection,
        end: End,
        ports: Option<Reservation>,
        dir: &InstanceDir,
    ) -> Result<Self, Error> {
        let publish = |ports: Reservation| ports.publish(connection.address(), dir);
        Ok(Self {
            publication: ports.map(publish).transpose()?,
            gateway: bridge.gateway(),
            prefix_length: bridge.prefix_length(),
            mtu: bridge.mtu(),
            connection,
            end,
        })
    }

    /// The instance's end of the link.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// Where the instance is found.
    pub fn endpoint(&self) -> Endpoint {
        let ports = self.publication.iter().flat_map(Publication::ports);
        Endpoint {
            address: self.connection.address().into(),
            prefix_length: self.prefix_length,
            gateway: self.gateway.into(),
            ports: ports.collect(),
        }
    }

    /// Its address, its Ethernet address, and the name of the host's end of the link.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The bridge's own address, by which it reaches the host and all else.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// How many leading bits of their addresses all on the bridge share.
    pub fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    /// The longest packet that the bridge takes, in bytes.
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    /// What the instance looks names up in.
    ///
    /// # Errors
    ///
    /// When the host's own files can't be read.
    pub fn files(&self, hostname: &Hostname, names: &Names) -> Result<NameFiles, Error> {
        files_on_bridge(self.connection.address(), self.gateway, hostname, names)
    }
}
