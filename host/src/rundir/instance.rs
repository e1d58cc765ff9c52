use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use launch::{InstanceId, Resources};
use nix::unistd::geteuid;

use super::error::Error;
use super::{RunDir, address, foreign, open_dir, record, remove};
use crate::cgroup::called::called;
use crate::cgroup::hierarchy::Hierarchies;
use crate::cgroup::plan::{self, Plan};
use crate::cgroup::{Cgroup, Extras, Placement};
use crate::instances::{self, ENDED, KEEP, KEPT, Remains};
use crate::packet_filter;

/// One instance's directory, locked by this process. Dropping it kills what still runs in the
/// instance's cgroup, and removes that, its rules of the packet filter, and the directory with all
/// that is in it, but for what is kept of one that is ([`crate::instances`]).
#[derive(Debug)]
pub struct InstanceDir {
    id: InstanceId,
    path: PathBuf,
    /// Holds the lock, which a forked child shares until its `execve`.
    _lock: File,
    removed: bool,
}

/// What became of a directory that was there.
pub(super) enum Adopted {
    /// Its owner lives.
    Running,
    /// Its owner removed it at this moment.
    Gone,
    /// Its owner is dead; it is ours now.
    Leftover(InstanceDir),
    /// Its owner is dead and how it ended is on record; it is ours now.
    Ended(InstanceDir),
}

impl InstanceDir {
    /// Makes and locks the directory of `id`, with leftovers of that name cleared first; `None`
    /// if an instance of that name runs or is kept. The run directory must be locked.
    pub(super) fn create(run: &RunDir, id: InstanceId) -> Result<Option<Self>, Error> {
        let path = run.path().join(id.as_str());
        let make = || {
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(|source| Error::Make {
                    path: path.clone(),
                    source,
                })
        };
        match make() {
            Err(Error::Make { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                match Self::adopt(run, &id)? {
                    Adopted::Running => return Ok(None),
                    Adopted::Gone => {}
                    Adopted::Leftover(leftover) => leftover.remove()?,
                    Adopted::Ended(ended) => {
                        ended.settle()?;
                        return Err(Error::Ended(id));
                    }
                }
                make()?;
            }
            result => result?,
        }
        match Self::adopt(run, &id)? {
            Adopted::Leftover(instance) => Ok(Some(instance)),
            Adopted::Running | Adopted::Gone | Adopted::Ended(_) => Ok(None),
        }
    }

    /// Takes over the directory of `id` if its owner is dead. The run directory must be locked.
    pub(super) fn adopt(run: &RunDir, id: &InstanceId) -> Result<Adopted, Error> {
        let path = run.path().join(id.as_str());
        let error = |source| Error::Open {
            path: path.clone(),
            source,
        };
        let dir = match open_dir(&path) {
            Ok(dir) => dir,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Adopted::Gone),
            Err(source) => return Err(error(source)),
        };
        if dir.metadata().map_err(error)?.uid() != geteuid().as_raw() {
            return Err(Error::NotOurs(path));
        }
        match dir.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Adopted::Running),
            Err(TryLockError::Error(source)) => return Err(Error::Lock { path, source }),
        }
        // Its owner may have removed it between the opening and the locking. Nobody can have
        // made another since: the run directory is locked.
        if !fs::exists(&path).map_err(error)? {
            return Ok(Adopted::Gone);
        }
        let remains = instances::remains(&path).map_err(error)?;
        let adopted = Self {
            id: id.clone(),
            path,
            _lock: dir,
            removed: false,
        };
        match remains {
            Remains::Kept => return Ok(Adopted::Ended(adopted)),
            Remains::Ending => {
                adopted.abandon();
                return Ok(Adopted::Running);
            }
            Remains::Nothing => adopted.forget()?,
        }
        Ok(Adopted::Leftover(adopted))
    }

    /// Lets go of it and leaves it as it is.
    pub(super) fn abandon(mut self) {
        self.removed = true;
    }

    /// Lets all of it go when it is cleared.
    pub(super) fn forget(&self) -> Result<(), Error> {
        for name in [KEEP, ENDED] {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(Error::Remove { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Clears all but what is kept of an instance that has ended.
    pub(super) fn settle(self) -> Result<(), Error> {
        let path = self.path.clone();
        if path.join(ENDED).exists() {
            self.abandon();
            return Ok(());
        }
        self.remove()?;
        let keep = path.join(KEEP);
        fs::rename(&keep, path.join(ENDED)).map_err(|source| Error::Record { path: keep, source })
    }

    /// The instance's name.
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// The directory. What is made in it goes with it, but for mounts: those must be gone, or be
    /// in a mount namespace that is, when it is removed. The names `cgroups` and `address`, with
    /// and without `.new`, and `foreign` are taken, and those of [`crate::instances`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the instance's cgroup, on record for the next run to remove should this one crash.
    /// To be called once. Without limits, of devices too, an instance can do without one where
    /// none can be made.
    ///
    /// # Errors
    ///
    /// When a limit can't be kept, and which; when what could be made was not, for an
    /// unexpected reason.
    pub fn make_cgroup(&self, resources: &Resources, extras: &Extras) -> Result<Placement, Error> {
        let is_needed = *resources != Resources::default() || extras.devices.is_some();
        match self.try_make_cgroup(resources, extras) {
            Ok(cgroup) => Ok(Placement::Own(cgroup)),
            Err(Error::Cgroup(why)) if why.is_unavailable() && !is_needed => {
                Ok(Placement::Inherited(Arc::new(why)))
            }
            Err(error) => Err(error),
        }
    }

    fn try_make_cgroup(&self, resources: &Resources, extras: &Extras) -> Result<Cgroup, Error> {
        let hierarchies = Hierarchies::read(Path::new("/"))?;
        let plan = Plan::new(&hierarchies, &self.id, resources, extras)?;
        record::write(&self.path, plan.dirs())?;
        Cgroup::make(plan).or_else(|error| {
            // What was made is removed again. What was there already is somebody else's.
            record::erase(&self.path)?;
            Err(error.into())
        })
    }

    /// Puts on record that rules of the packet filter are about to be made for `address`: the
    /// table [`packet_filter::instance_table`] is removed with the directory, by the next run
    /// should this one crash. To be called once.
    ///
    /// # Errors
    ///
    /// When the record can't be written.
    pub fn note_address(&self, address: Ipv4Addr) -> Result<(), Error> {
        address::write(&self.path, address)
    }

    /// Puts on record that another program is about to run the instance, and returns what that has
    /// to call it. Wherever it makes cgroups of this name, they are removed with the directory, and
    /// what is in them killed: by the next run, should this one crash.
    ///
    /// # Errors
    ///
    /// When the record can't be written.
    pub fn note_foreign_cgroups(&self) -> Result<String, Error> {
        foreign::write(&self.path)?;
        Ok(plan::name(&self.id))
    }

    /// Clears it, now and with an answer; dropping it does the same.
    ///
    /// # Errors
    ///
    /// When its cgroup or the directory can't be removed. The next run's sweep tries again.
    pub fn remove(mut self) -> Result<(), Error> {
        self.removed = true;
        self.clear()
    }

    fn clear(&self) -> Result<(), Error> {
        // First, while the record of it is there, and before the files of what runs in it.
        let mut cgroups = record::read(&self.path, &self.id)?;
        if foreign::is_written(&self.path)? {
            cgroups.extend(called(Path::new("/"), &plan::name(&self.id))?);
        }
        let cgroups: Vec<_> = cgroups.iter().map(PathBuf::as_path).collect();
        Cgroup::remove_remains(&cgroups)?;
        if let Some(address) = address::read(&self.path)? {
            let table = packet_filter::instance_table(address);
            packet_filter::remove_table(&table)
                .map_err(|source| Error::PacketFilter { table, source })?;
        }
        let is_kept = self.path.join(KEEP).exists();
        let removed = if is_kept {
            remove::all_but(&self.path, &KEPT)
        } else {
            remove::tree(&self.path)
        };
        removed.map_err(|source| Error::Remove {
            path: self.path.clone(),
            source,
        })
    }
}

impl Drop for InstanceDir {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        if let Err(error) = self.clear() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an instance's directory is left behind"
            );
        }
    }
}
