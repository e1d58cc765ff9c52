//! What an instance looks names up in, by what it is connected to.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use entry::NameFiles;
use launch::{Hostname, Names};

use crate::error::Error;
use crate::resolver::{host_resolv_conf, resolv_conf};
use crate::user_mode;

/// Of one that has nothing but its loopback interface.
///
/// # Errors
///
/// When a name stands for the host.
pub fn files_without_network(hostname: &Hostname, names: &Names) -> Result<NameFiles, Error> {
    Ok(NameFiles::without_network(hostname, names)?)
}

/// Of one that shares the host's network.
///
/// # Errors
///
/// When the host's own files can't be read.
pub fn files_on_host(hostname: &Hostname, names: &Names) -> Result<NameFiles, Error> {
    let own = IpAddr::from([127, 0, 1, 1]);
    let gateway = IpAddr::from(Ipv4Addr::LOCALHOST);
    let files = NameFiles::new(hostname, own, names, Some(gateway))?;
    let mut hosts = fs::read("/etc/hosts").map_err(Error::HostNames)?;
    hosts.push(b'\n');
    hosts.extend(&files.hosts);
    let files = NameFiles { hosts, ..files };
    with_resolv_conf(files, host_resolv_conf(&names.servers))
}

/// Of an ordinary user's, which a program beside it connects.
///
/// # Errors
///
/// When a name stands for the host, or the host's own files can't be read.
pub fn files_in_user_mode(hostname: &Hostname, names: &Names) -> Result<NameFiles, Error> {
    let files = NameFiles::new(hostname, user_mode::ADDRESS.into(), names, None)?;
    let server = [IpAddr::from(user_mode::NAME_SERVER)];
    let servers = if names.servers.is_empty() {
        &server[..]
    } else {
        &names.servers
    };
    with_resolv_conf(files, resolv_conf(servers))
}

/// Of one that has the address `own` on a bridge with the address `gateway`.
pub(crate) fn files_on_bridge(
    own: Ipv4Addr,
    gateway: Ipv4Addr,
    hostname: &Hostname,
    names: &Names,
) -> Result<NameFiles, Error> {
    let files = NameFiles::new(hostname, own.into(), names, Some(gateway.into()))?;
    with_resolv_conf(files, resolv_conf(&names.servers))
}

fn with_resolv_conf(files: NameFiles, text: io::Result<String>) -> Result<NameFiles, Error> {
    let text = text.map_err(Error::HostNames)?;
    Ok(NameFiles {
        resolv_conf: Some(text.into_bytes()),
        ..files
    })
}
