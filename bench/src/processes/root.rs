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
use nix::unistd::chown;

use super::Error;
use super::nobody::Nobody;

/// What may be written to a root, in memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Writes {
    pub(super) is_read_only: bool,
    /// Whose its top directory is; root's without it.
    pub(super) owner: Option<Nobody>,
    /// How much; half of the host's memory without it, as the kernel has it.
    pub(super) most_bytes: Option<u64>,
}

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
    pub(super) fn make(mount_point: &Path, layers: &Layers, writes: Writes) -> Result<Self, Error> {
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNS).map_err(at("a mount namespace"))?;
            mount_overlay(mount_point, layers, writes)
        })
    }

    /// Binds the host's `/proc` and `/dev` into it, but for the memory that is shared there: what is
    /// written to that would outlive it.
    pub(super) fn give_proc_and_dev(&self, writes: Writes) -> Result<(), Error> {
        in_a_thread(|| {
            // A thread that shares its working directory can't change namespaces: setns(2).
            unshare(CloneFlags::CLONE_FS).map_err(at("a thread of its own"))?;
            setns(&self.namespace, CloneFlags::CLONE_NEWNS).map_err(at("a mount namespace"))?;
            ["proc", "dev"]
                .into_iter()
                .try_for_each(|name| give(&self.directory, name))?;
            cover_shared_memory(&self.directory, writes)
        })
    }
}

impl Writes {
    /// Of a tmpfs with this mode.
    fn options(self, mode: &str) -> String {
        match self.most_bytes {
            None => format!("mode={mode}"),
            Some(bytes) => format!("mode={mode},size={bytes}"),
        }
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

fn mount_overlay(scratch: &Path, layers: &Layers, writes: Writes) -> Result<Root, Error> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE).map_err(at("mounts of its own"))?;
    let tmpfs = Some("tmpfs");
    let options = writes.options("700");
    mount(
        tmpfs,
        scratch,
        tmpfs,
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(at("a place for writes"))?;
    let [upper, work] = ["upper", "work"].map(|name| scratch.join(name));
    let root = Root::path(scratch);
    for directory in [&upper, &work, &root] {
        fs::create_dir(directory).map_err(at_io("a place for writes"))?;
    }
    if let Some(owner) = writes.owner {
        chown(&upper, Some(owner.user()), Some(owner.group())).map_err(at("a place for writes"))?;
    }
    let directories = layers.iter().map(Path::to_owned).chain([upper, work]);
    // By descriptor, so that no character of a path means anything to overlayfs.
    let opened: Vec<OwnedFd> = directories
        .map(|directory: PathBuf| open(&directory, DIRECTORY, Mode::empty()))
        .collect::<Result<_, _>>()
        .map_err(at("the image"))?;
    let path = |directory: &OwnedFd| format!("/proc/self/fd/{}", directory.as_raw_fd());
    let paths: Vec<_> = opened.iter().map(path).collect();
    let (lower, own) = paths.split_at(paths.len() - 2);
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        own[0],
        own[1]
    );
    let flags = match writes.is_read_only {
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
    let Some(target) = below(root, name)? else {
        return Ok(());
    };
    let source = format!("/{name}");
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    let target = path_in_thread(&target);
    mount(Some(source.as_str()), target.as_str(), NONE, bind, NONE).map_err(at(name))
}

fn cover_shared_memory(root: &OwnedFd, writes: Writes) -> Result<(), Error> {
    let name = "dev/shm";
    let Some(target) = below(root, name)? else {
        return Ok(());
    };
    let tmpfs = Some("tmpfs");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let options = writes.options("1777");
    let target = path_in_thread(&target);
    mount(tmpfs, target.as_str(), tmpfs, flags, Some(options.as_str())).map_err(at(name))
}

/// A directory of the image, if it is one and none of its names is a link.
fn below(root: &OwnedFd, name: &'static str) -> Result<Option<OwnedFd>, Error> {
    let how = OpenHow::new()
        .flags(DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(root, name, how) {
        Ok(target) => Ok(Some(target)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
        Err(errno) => Err(at(name)(errno)),
    }
}

/// The threads share descriptors, but this one may not be found under the first one's root.
fn path_in_thread(directory: &OwnedFd) -> String {
    format!("/proc/thread-self/fd/{}", directory.as_raw_fd())
}

fn at(step: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| at_io(step)(errno.into())
}

fn at_io(step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Root { step, source }
}
