//! What the command can reach, and who can reach it.

use std::net::IpAddr;

use clap::Args;
use launch::{ExtraHost, Names, Network, NetworkRate};

use crate::notation::{ExposedPortsArg, ExtraHostArg, NetworkArg, PortsArg};

/// The network, and how names are resolved in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// What the command is connected to [default: none, and bridge with -p]
    #[arg(long, alias = "net", value_name = "NETWORK", value_enum)]
    network: Option<NetworkArg>,

    /// Most bytes a second that the command sends, and as many that it receives, as in 512k, 10m
    #[arg(long, value_name = "RATE")]
    network_rate: Option<NetworkRate>,

    /// Let a port of the command be reached through one of the host, as in 8080:80, 53:53/udp,
    /// 0.0.0.0:8000-8009:80-89. ADDRESS is 127.0.0.1 if not given: nobody but this host. Without
    /// HOST-PORT, any free one; of a range for one PORT, the first free one
    #[arg(short, long, value_name = "[[ADDRESS:]HOST-PORT:]PORT")]
    publish: Vec<PortsArg>,

    /// Publish each port that the image or --expose names at a free one of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,

    /// Say that the command listens on a port, as in 80, 53/udp, 8000-8009
    #[arg(long, value_name = "PORT")]
    pub expose: Vec<ExposedPortsArg>,

    /// Name server, instead of the host's
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,

    /// Give an address a name; host-gateway stands for the host's
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<ExtraHostArg>,
}

/// There is nothing that a port could be forwarded to, or that could be limited.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} needs --network bridge: {why}")]
pub struct NeedsBridge {
    flag: &'static str,
    why: &'static str,
}

impl NetworkArgs {
    /// What the command is connected to.
    pub fn network(&self) -> Result<Network, NeedsBridge> {
        let publish: Vec<_> = self
            .publish
            .iter()
            .flat_map(|ports| &ports.0)
            .copied()
            .collect();
        let flag = match (publish.is_empty(), self.publish_all) {
            (false, _) => Some("--publish"),
            (true, true) => Some("--publish-all"),
            (true, false) => None,
        };
        if self.network_rate.is_some() && flag.is_none() {
            let why = match self.network {
                Some(NetworkArg::Bridge) => None,
                Some(NetworkArg::Host) => Some("with host it is the host's network"),
                Some(NetworkArg::None) | None => Some("without it there is nothing to limit"),
            };
            if let Some(why) = why {
                let flag = "--network-rate";
                return Err(NeedsBridge { flag, why });
            }
        }
        match (self.network, flag) {
            (None, None) => Ok(Network::default()),
            (None, Some(_)) | (Some(NetworkArg::Bridge), _) => Ok(Network::Bridge {
                publish,
                rate: self.network_rate,
            }),
            (Some(NetworkArg::None), None) => Ok(Network::None),
            (Some(NetworkArg::Host), None) => Ok(Network::Host),
            (Some(NetworkArg::None), Some(flag)) => Err(NeedsBridge {
                flag,
                why: "with none the host does not reach the command",
            }),
            (Some(NetworkArg::Host), Some(flag)) => Err(NeedsBridge {
                flag,
                why: "with host all ports of the command are the host's",
            }),
        }
    }

    /// The flag that was given, if one was that says more than to have no network.
    pub fn given(&self) -> Option<&'static str> {
        let connected = match self.network {
            Some(NetworkArg::Bridge) => Some("--network bridge"),
            Some(NetworkArg::Host) => Some("--network host"),
            Some(NetworkArg::None) | None => None,
        };
        let flags = [
            (self.network_rate.is_some(), "--network-rate"),
            (!self.publish.is_empty(), "--publish"),
            (self.publish_all, "--publish-all"),
            (!self.expose.is_empty(), "--expose"),
            (!self.dns.is_empty(), "--dns"),
            (!self.add_host.is_empty(), "--add-host"),
        ];
        connected.or_else(|| flags.into_iter().find_map(|(is, flag)| is.then_some(flag)))
    }

    /// What names are resolved with.
    pub fn names(&self) -> Names {
        let hosts = self.add_host.iter().map(|ExtraHostArg(host)| host);
        Names {
            servers: self.dns.clone(),
            hosts: hosts.map(ExtraHost::clone).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Action, Cli};

    fn network(flags: &[&str]) -> Result<Network, NeedsBridge> {
        let line = [&["jaula", "run"], flags, &["busybox"]].concat();
        match Cli::try_parse_from(line).unwrap().action {
            Action::Run(run) => run.workload.network.network(),
            _ => panic!("not a run"),
        }
    }

    #[test]
    fn a_published_port_needs_a_bridge_and_brings_one() {
        let bridge = |ports| Ok((true, ports));
        for (flags, expected) in [
            (&[][..], Ok((false, 0))),
            (&["--network", "none"], Ok((false, 0))),
            (&["--net", "bridge"], bridge(0)),
            (&["-p", "80"], bridge(1)),
            (
                &["--network", "bridge", "-p", "1-3", "-p", "9:9/udp"],
                bridge(4),
            ),
            (&["-P"], bridge(0)),
            (&["-P", "-p", "80"], bridge(1)),
            (&["--network", "none", "-P"], Err(())),
            (&["--network", "none", "-p", "80"], Err(())),
            (&["--network", "host", "-p", "80"], Err(())),
            (&["--network", "bridge", "--network-rate", "1m"], bridge(0)),
            (&["-p", "80", "--network-rate", "1m"], bridge(1)),
            (&["--network-rate", "1m"], Err(())),
            (&["--network", "host", "--network-rate", "1m"], Err(())),
        ] {
            let network = network(flags).map_err(drop).map(|network| match network {
                Network::Bridge { publish, .. } => (true, publish.len()),
                _ => (false, 0),
            });
            assert_eq!(network, expected, "{flags:?}");
        }
        assert_eq!(network(&["--network", "host"]), Ok(Network::Host));
    }
}
