//! slirp4netns(1).

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Pid;

use super::{INNER_NAME, user_namespace_of};
use crate::rules::Forward;

/// Where it is told which ports to forward.
const SOCKET: &str = "slirp4netns";

pub(super) fn command(pid: Pid, dir: &Path) -> io::Result<Command> {
    let mut command = Command::new("slirp4netns");
    command
        .stdin(Stdio::piped())
        .args(["--configure", "--disable-host-loopback"])
        .arg("--api-socket")
        .arg(dir.join(SOCKET))
        // Its standard output, and its standard input: it ends when nobody has the other end
        // of that any more.
        .args(["--ready-fd=1", "--exit-fd=0"]);
    if let Some(path) = user_namespace_of(pid)? {
        command.arg("--userns-path").arg(path);
    }
    command.args([pid.to_string().as_str(), INNER_NAME]);
    Ok(command)
}

/// Has it forward all of these ports.
pub(super) fn forward(dir: &Path, forwards: &[Forward]) -> io::Result<()> {
    for forward in forwards {
        // One request a connection, whose end is that of the request.
        let mut socket = UnixStream::connect(dir.join(SOCKET))?;
        socket.write_all(request(forward).as_bytes())?;
        socket.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        if answer.contains("\"error\"") {
            return Err(io::Error::other(format!("slirp4netns said {answer}")));
        }
    }
    Ok(())
}

fn request(forward: &Forward) -> String {
    let Forward {
        host_address,
        host_port,
        instance_port,
        protocol,
    } = forward;
    format!(
        "{{\"execute\": \"add_hostfwd\", \"arguments\": {{\"proto\": \"{protocol}\", \
         \"host_addr\": \"{host_address}\", \"host_port\": {host_port}, \
         \"guest_port\": {instance_port}}}}}"
    )
}
