//! pasta(1), of the package passt.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use launch::Protocol;
use nix::unistd::Pid;

use super::user_namespace_of;
use super::{ADDRESS, GATEWAY, INNER_NAME, NAME_SERVER, PREFIX_LENGTH};
use crate::rules::Forward;

/// The network namespace's name in the instance's directory. When it is removed, pasta ends:
/// it watches the directory that it was told the namespace is in.
const NAMESPACE: &str = "netns";

pub(super) fn command(pid: Pid, forwards: &[Forward], dir: &Path) -> io::Result<Command> {
    let namespace = dir.join(NAMESPACE);
    // By a descriptor, and by one of those that it does not close: in its own user namespace it may
    // not look at a process that has more capabilities than it keeps.
    symlink("/proc/self/fd/0", &namespace)?;
    let mut command = Command::new("pasta");
    command
        .stdin(File::open(format!("/proc/{pid}/ns/net"))?)
        .args(["--foreground", "--quiet", "--config-net", "--ipv4-only"])
        .args(["--ns-ifname", INNER_NAME])
        .args(["--address", &ADDRESS.to_string()])
        .args(["--netmask", &PREFIX_LENGTH.to_string()])
        .args(["--gateway", &GATEWAY.to_string()])
        .args(["--dns-forward", &NAME_SERVER.to_string()])
        // What listens on the host's loopback interface is not the instance's.
        .args(["--no-map-gw", "--tcp-ns", "none", "--udp-ns", "none"])
        .args(ports(Protocol::Tcp, forwards))
        .args(ports(Protocol::Udp, forwards))
        // Written when all is set up.
        .args(["--pid", "/dev/stdout"]);
    match user_namespace_of(pid)? {
        Some(path) => command.arg("--userns").arg(path),
        None => command.arg("--netns-only"),
    };
    command.arg("--netns").arg(namespace);
    Ok(command)
}

fn ports(protocol: Protocol, forwards: &[Forward]) -> Vec<String> {
    let option = match protocol {
        Protocol::Tcp => "--tcp-ports",
        Protocol::Udp => "--udp-ports",
    };
    let mut words: Vec<_> = forwards
        .iter()
        .filter(|forward| forward.protocol == protocol)
        .flat_map(|forward| [option.to_owned(), port(forward)])
        .collect();
    if words.is_empty() {
        words.extend([option, "none"].map(str::to_owned));
    }
    words
}

fn port(forward: &Forward) -> String {
    let Forward {
        host_address,
        host_port,
        instance_port,
        ..
    } = forward;
    let address = match host_address {
        &Ipv4Addr::UNSPECIFIED => String::new(),
        address => format!("{address}/"),
    };
    format!("{address}{host_port}:{instance_port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_told_with_its_address() {
        let forward = |host_address: [u8; 4], host_port, protocol| Forward {
            host_address: host_address.into(),
            host_port,
            instance_port: 80,
            protocol,
        };
        let forwards = [
            forward([127, 0, 0, 1], 8080, Protocol::Tcp),
            forward([0, 0, 0, 0], 81, Protocol::Tcp),
        ];
        assert_eq!(
            ports(Protocol::Tcp, &forwards),
            ["--tcp-ports", "127.0.0.1/8080:80", "--tcp-ports", "81:80"]
        );
        assert_eq!(ports(Protocol::Udp, &forwards), ["--udp-ports", "none"]);
    }
}
