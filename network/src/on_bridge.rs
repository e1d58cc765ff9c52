//! An instance's place on the bridge, with all that the host has of it.

use std::net::Ipv4Addr;

use entry::NameFiles;
use host::InstanceDir;
use launch::{Hostname, Names};

use crate::bridge::{Bridge, Connection};
use crate::error::Error;
use crate::name_files::files_on_bridge;
use crate::namespace::Namespace;
use crate::publication::{Publication, Reservation};

/// A place on the bridge, to which published ports lead, and the instance's end of the link.
///
/// Dropped from top to bottom: the ways in, then the link, then what it leads to.
#[derive(Debug)]
pub struct OnBridge<End> {
    _publication: Option<Publication>,
    connection: Connection,
    gateway: Ipv4Addr,
    end: End,
}

impl OnBridge<Namespace> {
    /// Connects a network namespace, and makes ports lead to it.
    ///
    /// # Errors
    ///
    /// When the bridge, the link or the rules can't be made.
    pub fn join(
        mut namespace: Namespace,
        ports: Option<Reservation>,
        dir: &InstanceDir,
    ) -> Result<Self, Error> {
        let mut bridge = Bridge::open()?;
        let connection = bridge.connect(&mut namespace, dir.id())?;
        Self::publish(&bridge, connection, namespace, ports, dir)
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
            _publication: ports.map(publish).transpose()?,
            gateway: bridge.gateway(),
            connection,
            end,
        })
    }

    /// The instance's end of the link.
    pub fn end(&self) -> &End {
        &self.end
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
