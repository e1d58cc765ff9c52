use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;

use guest_protocol::port;

/// The host's ends of the guest's streams.
pub(super) struct HostEnds {
    pub(super) control: UnixStream,
    pub(super) stdin: UnixStream,
    pub(super) stdout: UnixStream,
    pub(super) stderr: UnixStream,
}

/// Makes a pair for each port; the guest's ends by port.
pub(super) fn pairs() -> io::Result<(BTreeMap<u32, UnixStream>, HostEnds)> {
    let mut guest_ends = BTreeMap::new();
    let mut host_end = |port| {
        let (host, guest) = UnixStream::pair()?;
        guest_ends.insert(port, guest);
        Ok::<_, io::Error>(host)
    };
    let host_ends = HostEnds {
        control: host_end(port::CONTROL)?,
        stdin: host_end(port::STDIN)?,
        stdout: host_end(port::STDOUT)?,
        stderr: host_end(port::STDERR)?,
    };
    Ok((guest_ends, host_ends))
}
