use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use entry::NoGateway;
use launch::{PortRange, Protocol};
use nix::errno::Errno;

/// Why an instance can't be connected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no thread to make a network namespace in.
    #[error("can't start a thread")]
    Thread(#[source] io::Error),
    /// The kernel makes no network namespace.
    #[error("can't make a network namespace")]
    Namespace(#[source] Errno),
    /// Nobody can be mapped in an ordinary user's namespace.
    #[error("can't set up a user namespace")]
    UserNamespace(#[source] io::Error),
    /// It can't be held on to.
    #[error("can't open a network namespace")]
    NamespaceFile(#[source] io::Error),
    /// The kernel can't be talked to.
    #[error("can't open a netlink socket")]
    Socket(#[source] Errno),
    /// A setting of the kernel's is not as it must be.
    #[error("can't change {path}")]
    Setting {
        /// The setting's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Interfaces, addresses or routes can't be looked at.
    #[error("can't read the host's {what}")]
    Look {
        /// What of the host's.
        what: &'static str,
        /// Why.
        source: Errno,
    },
    /// The bridge can't be made, or made ready.
    #[error("can't set up bridge {bridge}", bridge = crate::bridge::NAME)]
    Bridge(#[source] Errno),
    /// The host uses all networks that the bridge could have.
    #[error("no network is free for bridge {bridge}", bridge = crate::bridge::NAME)]
    NoNetwork,
    /// All addresses of the bridge's network are in use.
    #[error("no address of {0} is free")]
    NoAddress(String),
    /// The instance's link can't be made.
    #[error("can't link the instance to bridge {bridge}", bridge = crate::bridge::NAME)]
    Link(#[source] Errno),
    /// Taps can't be made here.
    #[error("can't open /dev/net/tun")]
    TapDevice(#[source] io::Error),
    /// The virtual machine's link can't be made.
    #[error("can't make a tap")]
    Tap(#[source] io::Error),
    /// The instance's end of the link can't be set up.
    #[error("can't set up the instance's interface")]
    Interface(#[source] Errno),
    /// A port of the host's is not to be had.
    #[error("can't publish on {address}, port {}/{protocol}", asked(*ports))]
    Port {
        /// The host's address.
        address: IpAddr,
        /// The host's ports of which any would do; all of them if none are given.
        ports: Option<PortRange>,
        /// What it carries.
        protocol: Protocol,
        /// Why.
        source: Errno,
    },
    /// The instance has no IPv6 address that a port could be forwarded to.
    #[error("can't publish on {0}: instances have IPv4 addresses only")]
    NotIpv4(IpAddr),
    /// The packet filter can't be looked at.
    #[error("can't ask the kernel for its packet filter")]
    PacketFilter(#[source] Errno),
    /// `nft` can't be started.
    #[error("can't run nft")]
    Nft(#[source] io::Error),
    /// `nft` did not do what it was told to.
    #[error("nft failed: {0}")]
    NftFailed(String),
    /// There is no program that connects an ordinary user's instances.
    #[error("an ordinary user's network needs pasta or slirp4netns, and there is neither")]
    NoUserMode,
    /// What passes an interface can't be limited.
    #[error("can't limit the network's rate")]
    Rate(#[source] Errno),
    /// Such a limit takes rights.
    #[error("--network-rate takes root for a container")]
    RateOfRoot,
    /// Whoever is limited could take the limit away.
    #[error("--network-rate is no limit for a container that has NET_ADMIN")]
    RateOfAdministrator,
    /// The one that is there does not do what was asked for.
    #[error(
        "published ports of an ordinary user's virtual machine need slirp4netns, which is not there"
    )]
    NoSlirp4netns,
    /// What it is told can't be put into the instance's directory.
    #[error("can't prepare the instance's directory for its network")]
    UserModeFiles(#[source] io::Error),
    /// The program can't be started or told what to do.
    #[error("can't run the program for an ordinary user's network")]
    UserMode(#[source] io::Error),
    /// The program did not set up the network.
    #[error("{name} failed: {said}")]
    UserModeFailed {
        /// The program.
        name: &'static str,
        /// Its last words.
        said: String,
    },
    /// The host's files can't be read that names are looked up in.
    #[error("can't read how the host resolves names")]
    HostNames(#[source] io::Error),
    /// A name stands for what there is none of.
    #[error(transparent)]
    NoGateway(#[from] NoGateway),
    /// The instance's record can't be written.
    #[error(transparent)]
    Record(#[from] host::rundir::Error),
}

fn asked(ports: Option<PortRange>) -> String {
    ports.map_or_else(|| "any".to_owned(), |ports| ports.to_string())
}

impl Error {
    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Port {
                source: Errno::EADDRINUSE,
                ..
            } => Some("choose another port, or end what listens there: ss -lntup"),
            Self::Port {
                source: Errno::EADDRNOTAVAIL,
                ..
            } => Some("name an address that the host has"),
            Self::Port {
                source: Errno::EACCES,
                ..
            } => Some("choose a port above 1023, or run as root"),
            Self::NotIpv4(_) => Some("name an IPv4 address, or none"),
            Self::Nft(error) if error.kind() == io::ErrorKind::NotFound => Some("install nftables"),
            Self::NoUserMode => Some("install passt"),
            Self::Rate(Errno::ENOENT | Errno::EOPNOTSUPP) => {
                Some("load its token bucket: modprobe sch_tbf")
            }
            Self::RateOfRoot => Some("use --as vm, or run as root"),
            Self::RateOfAdministrator => Some("use --as vm, or leave the capability out"),
            Self::NoSlirp4netns => Some("install slirp4netns"),
            Self::UserModeFailed { .. } => {
                Some("see that you may use /dev/net/tun, or use --network none or host")
            }
            Self::NoNetwork => Some(
                "give the bridge one: ip link add jaula0 type bridge; ip addr add ADDRESS/LENGTH dev jaula0",
            ),
            Self::NoAddress(_) => Some("end some instances"),
            Self::Bridge(Errno::EOPNOTSUPP) => Some("load the driver: modprobe bridge"),
            Self::TapDevice(_) => Some("load the driver: modprobe tun"),
            Self::Link(Errno::EOPNOTSUPP) => Some("load the driver: modprobe veth"),
            Self::PacketFilter(Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP) => {
                Some("load nftables: modprobe nf_tables")
            }
            Self::Setting { .. } => Some("mount /proc/sys so that root may write to it"),
            Self::NoGateway(_) => Some("give it an address, or add --network bridge"),
            Self::Record(error) => error.remedy(),
            _ => None,
        }
    }
}

impl From<Error> for launch::Error {
    fn from(error: Error) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}
