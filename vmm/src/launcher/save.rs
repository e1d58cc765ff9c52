//! Saves an instance that another process has launched: asks its monitor.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use launch::InstanceId;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen as listen_on,
    socket,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::linkat;

use super::error::Error;
use crate::monitor::{Channel, Reply, Request, SOCKET};
use crate::snapshot::{DraftFiles, SnapshotName, Store};

/// Name of the disk image in the directory of such a snapshot.
pub(super) const DISK: &str = "disk";

/// Makes the socket on which the instance in `dir` is asked.
pub(super) fn listen(dir: &Path) -> Result<OwnedFd, Error> {
    let listening = || -> io::Result<OwnedFd> {
        let dir = File::open(dir)?;
        let socket = new_socket()?;
        // Nobody but its owner and root may connect (unix(7)), whoever may enter the directory.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(socket.as_raw_fd(), &address(&dir)?)?;
        listen_on(&socket, Backlog::new(8)?)?;
        Ok(socket)
    };
    listening().map_err(|source| Error::Listen {
        path: dir.to_owned(),
        source,
    })
}

/// Saves the running instance `id`, as `name`, and lets it go on. Returns the snapshot's
/// directory.
///
/// # Errors
///
/// When there is no such instance, the name is taken, or the machine can't be saved.
pub fn save(
    run_dir: &Path,
    id: &InstanceId,
    store: &Store,
    name: &SnapshotName,
) -> Result<PathBuf, launch::Error> {
    let monitor = connect_to(run_dir, id)?;
    let unfinished = store.begin(name).map_err(Error::from)?;
    let dir = unfinished.files().dir().to_owned();
    let disk = ask(&monitor, id, unfinished.files())?;
    keep(&disk, &dir.join(DISK)).map_err(|source| Error::KeepDisk { path: dir, source })?;
    Ok(unfinished.finish().map_err(Error::from)?)
}

fn ask(monitor: &Channel, id: &InstanceId, files: &DraftFiles) -> Result<OwnedFd, Error> {
    let failed = |errno: Errno| Error::Ask {
        id: id.clone(),
        source: errno.into(),
    };
    monitor.send(&Request::Save(files.dir().to_owned()))?;
    match monitor.send_descriptors(&files.descriptors()) {
        // It ends, which its answer says.
        Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
        Err(errno) => return Err(failed(errno)),
    }
    match monitor.receive_within(None)? {
        Some(Reply::Saved) => {}
        Some(Reply::Failed(reason)) => {
            return Err(Error::NotSaved {
                id: id.clone(),
                reason,
            });
        }
        Some(Reply::Ended | Reply::Signalled | Reply::Users | Reply::Memory(_)) | None => {
            return Err(Error::Ended(id.clone()));
        }
    }
    let disk = monitor.receive_descriptors().map_err(failed)?;
    disk.and_then(|mut all| all.pop())
        .ok_or_else(|| Error::Ended(id.clone()))
}

pub(super) fn connect_to(run_dir: &Path, id: &InstanceId) -> Result<Channel, Error> {
    let connecting = || -> io::Result<OwnedFd> {
        let dir = File::open(run_dir.join(id.as_str()))?;
        let socket = new_socket()?;
        connect(socket.as_raw_fd(), &address(&dir)?)?;
        Ok(socket)
    };
    match connecting() {
        Ok(socket) => Ok(Channel::new(socket)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Err(Error::NotRunning(id.clone()))
        }
        Err(source) => Err(Error::Ask {
            id: id.clone(),
            source,
        }),
    }
}

fn new_socket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
}

/// By the directory's descriptor: a socket's path may be of 107 bytes only (`unix(7)`).
fn address(dir: &File) -> nix::Result<UnixAddr> {
    UnixAddr::new(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()).as_str())
}

/// Gives the image a name of its own, so that it stays when the cache is cleared; a copy where
/// that is another file system.
fn keep(disk: &OwnedFd, path: &Path) -> io::Result<()> {
    let open = format!("/proc/self/fd/{}", disk.as_raw_fd());
    let linked = linkat(
        nix::fcntl::AT_FDCWD,
        open.as_str(),
        nix::fcntl::AT_FDCWD,
        path,
        AtFlags::AT_SYMLINK_FOLLOW,
    );
    match linked {
        Ok(()) => Ok(()),
        Err(errno) => {
            tracing::debug!("the disk image is copied, as it can't be linked: {errno}");
            fs::copy(&open, path)?;
            File::open(path)?.sync_all()
        }
    }
}
