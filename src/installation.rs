//! What jaula uses on this machine: its cache, its run directory, its snapshots, the two launchers.

use std::path::{Path, PathBuf};

use container::ContainerLauncher;
use guest_images::Cache;
use host::RunDir;
use launch::Chain;
use vmm::ring0::{self, Ring0};
use vmm::snapshot::Store;
use vmm::{GuestBoot, StartMode, VmLauncher, kvm};

use crate::volumes::Volumes;

/// Root's cache, in which an ordinary user finds a kernel that root has built.
const SYSTEM_CACHE: &str = "/var/cache/jaula";

/// Where things are. Nothing is made before it is needed.
pub struct Installation {
    pub cache: Cache,
    run_dir: PathBuf,
    data_dir: Result<PathBuf, host::paths::Error>,
}

impl Installation {
    /// The user's own.
    pub fn of_user() -> Result<Self, host::paths::Error> {
        let system = (!host::user_namespace::caller().is_root()).then(|| SYSTEM_CACHE.into());
        Ok(Self {
            cache: Cache::new(host::paths::cache_dir()?, system),
            run_dir: host::paths::run_dir()?,
            data_dir: host::paths::data_dir(),
        })
    }

    /// Clears away what crashed runs left.
    pub fn sweep(&self) -> Result<(), launch::Error> {
        self.cache.sweep().map_err(launch::Error::new)?;
        let swept = RunDir::at(&self.run_dir)?.sweep()?;
        for (id, error) in swept.failed {
            // Another run's trouble must not keep this one from running.
            tracing::warn!("what instance {id} left can't be cleared: {error}");
        }
        // Where there is no place for images and snapshots, nothing was left.
        if let Ok(images) = self.images()
            && let Err(error) = images.sweep()
        {
            tracing::warn!("half an image can't be cleared: {}", Chain(&error));
        }
        if let Ok(snapshots) = self.snapshots()
            && let Err(error) = snapshots.sweep()
        {
            tracing::warn!("unfinished snapshots can't be cleared: {}", Chain(&error));
        }
        Ok(())
    }

    /// The directories of running instances.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The user's images.
    pub fn images(&self) -> Result<guest_images::store::Store, launch::Error> {
        let dir = self.data_dir.clone().map_err(launch::Error::new)?;
        Ok(guest_images::store::Store::new(dir.join("images")))
    }

    /// The user's volumes.
    pub fn volumes(&self) -> Result<Volumes, launch::Error> {
        let dir = self.data_dir.clone().map_err(launch::Error::new)?;
        Ok(Volumes::new(dir.join("volumes")))
    }

    /// The user's snapshots.
    pub fn snapshots(&self) -> Result<Store, launch::Error> {
        let dir = self.data_dir.clone().map_err(launch::Error::new)?;
        Ok(Store::new(dir.join("snapshots")))
    }

    /// The launcher of containers.
    pub fn container(&self) -> ContainerLauncher {
        ContainerLauncher::new(&self.run_dir).with_init(guest_images::INIT)
    }

    /// The launcher of VMs that start in this way and boot this.
    pub fn vm(&self, boot: impl Into<GuestBoot>, start: StartMode) -> VmLauncher {
        VmLauncher::new(&self.run_dir, self.cache.clone(), boot, start)
    }
}

/// Who executes a guest kernel's instructions here; not known where no VM can run.
pub fn ring0() -> Option<Ring0> {
    ring0::of_host(&kvm::open().ok()?).ok()
}
