use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;

use guest_protocol::Ports;

/// The host's ends of a command's connections.
pub(super) struct HostEnds {
    pub(super) control: UnixStream,
    pub(super) stdin: UnixStream,
    pub(super) stdout: UnixStream,
    pub(super) stderr: UnixStream,
}

/// Makes a pair for each of a command's ports; the guest's ends by port.
pub(super) fn pairs(ports: Ports) -> io::Result<(BTreeMap<u32, UnixStream>, HostEnds)> {
    let mut guest_ends = BTreeMap::new();
    let mut host_end = |port| {
        let (host, guest) = UnixStream::pair()?;
        guest_ends.insert(port, guest);
        Ok::<_, io::Error>(host)
    };
    let host_ends = HostEnds {
        control: host_end(ports.control)?,
        stdin: host_end(ports.stdin)?,
        stdout: host_end(ports.stdout)?,
        stderr: host_end(ports.stderr)?,
    };
    Ok((guest_ends, host_ends))
}
