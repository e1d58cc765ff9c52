use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use launch::Layers;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

use super::Error;

/// A mount namespace with the image at a directory in it, and that directory.
pub(super) struct Root {
    pub(super) namespace: OwnedFd,
    pub(super) directory: OwnedFd,
}

impl Root {
    /// Where it is, for processes in the namespace.
    pub(super) fn path(mount_point: &Path) -> PathBuf {
        mount_point.join("root")
    }

    /// Makes it, below `mount_point`. Nothing of it can be seen from outside, and it is gone with
    /// its descriptors and the processes in it.
    pub(super) fn make(
        mount_point: &Path,
        layers: &Layers,
        is_read_only: bool,
    ) -> Result<Self, Error> {
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNS).map_err(at("a mount namespace"))?;
            mount_overlay(mount_point, layers, is_read_only)
        })
    }

    /// Binds the host's `/proc` and `/dev` into it.
    pub(super) fn give_proc_and_dev(&self) -> Result<(), Error> {
        in_a_thread(|| {
            // A thread that shares its working directory can't change namespaces: setns(2).
            unshare(CloneFlags::CLONE_FS).map_err(at("a thread of its own"))?;
            setns(&self.namespace, CloneFlags::CLONE_NEWNS).map_err(at("a mount namespace"))?;
            ["proc", "dev"]
                .into_iter()
                .try_for_each(|name| give(&self.directory, name))
        })
    }
}

/// A thread can leave the mount namespace of the others; it must not come back.
fn in_a_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|_| {
            Err(at_io("a thread of its own")(io::Error::other(
                "it panicked",
            )))
        })
    })
}

fn mount_overlay(scratch: &Path, layers: &Layers, is_read_only: bool) -> Result<Root, Error> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE).map_err(at("mounts of its own"))?;
    let tmpfs = Some("tmpfs");
    mount(tmpfs, scratch, tmpfs, MsFlags::empty(), Some("mode=700"))
        .map_err(at("a place for writes"))?;
    let [upper, work] = ["upper", "work"].map(|name| scratch.join(name));
    let root = Root::path(scratch);
    for directory in [&upper, &work, &root] {
        fs::create_dir(directory).map_err(at_io("a place for writes"))?;
    }
    let directories = layers.iter().map(Path::to_owned).chain([upper, work]);
    // By descriptor, so that no character of a path means anything to overlayfs.
    let opened: Vec<OwnedFd> = directories
        .map(|directory: PathBuf| open(&directory, DIRECTORY, Mode::empty()))
        .collect::<Result<_, _>>()
        .map_err(at("the image"))?;
    let path = |directory: &OwnedFd| format!("/proc/self/fd/{}", directory.as_raw_fd());
    let paths: Vec<_> = opened.iter().map(path).collect();
    let (lower, writes) = paths.split_at(paths.len() - 2);
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        writes[0],
        writes[1]
    );
    let flags = match is_read_only {
        true => MsFlags::MS_RDONLY,
        false => MsFlags::empty(),
    };
    let overlay = Some("overlay");
    mount(overlay, &root, overlay, flags, Some(options.as_str()))
        .map_err(at("an overlay on the image"))?;
    let directory = open(&root, DIRECTORY, Mode::empty()).map_err(at("the overlay"))?;
    // The other threads are in another one: proc(5).
    let namespace = File::open("/proc/thread-self/ns/mnt");
    Ok(Root {
        namespace: namespace.map_err(at_io("the mount namespace"))?.into(),
        directory,
    })
}

const NONE: Option<&str> = None;

const DIRECTORY: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// Binds a directory of the host's to the one of the same name in the image, if it is there. One
/// that is a link is not followed: the image would decide where it leads.
fn give(root: &OwnedFd, name: &'static str) -> Result<(), Error> {
    let how = OpenHow::new()
        .flags(DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let target = match openat2(root, name, how) {
        Ok(target) => target,
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(()),
        Err(errno) => return Err(at(name)(errno)),
    };
    // The threads share descriptors, but this one may not be found under the first one's root.
    let target = format!("/proc/thread-self/fd/{}", target.as_raw_fd());
    let source = format!("/{name}");
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source.as_str()), target.as_str(), NONE, bind, NONE).map_err(at(name))
}

fn at(step: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| at_io(step)(errno.into())
}

fn at_io(step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Root { step, source }
}
