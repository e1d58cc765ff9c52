use std::fs;
use std::io;
use std::path::PathBuf;

use launch::InstanceId;

use super::found::Found;
use crate::RunDir;

/// Why there is not one instance that was meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none. docker's words.
    #[error("no such instance: {0}")]
    None(String),
    /// There are several whose IDs begin so. docker's words.
    #[error("multiple IDs found with provided prefix: {0}")]
    Several(String),
    /// It can't be read.
    #[error("can't look for instances in {path}")]
    Read {
        /// The run directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The instances of a run directory. Looking takes no locks, and holds up nobody.
#[derive(Debug)]
pub struct Instances {
    path: PathBuf,
}

impl Instances {
    /// Those in `run`.
    pub fn of(run: &RunDir) -> Self {
        Self {
            path: run.path().to_owned(),
        }
    }

    /// All that run or are kept, the newest first. One that can't be read is told of in the log
    /// and left out.
    ///
    /// # Errors
    ///
    /// When the run directory can't be read.
    pub fn list(&self) -> Result<Vec<Found>, FindError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|source| self.error(source))? {
            let entry = entry.map_err(|source| self.error(source))?;
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match self.look(&id) {
                Ok(found) => all.extend(found),
                Err(error) => tracing::warn!("instance {id} can't be read: {error}"),
            }
        }
        all.sort_by_key(|found| std::cmp::Reverse(found.record.created_unix_ns));
        Ok(all)
    }

    /// The one with this name, this ID, or the only one whose ID begins so.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one.
    pub fn find(&self, word: &str) -> Result<Found, FindError> {
        // What is no name can't be a path that leads elsewhere, either.
        if let Ok(name) = word.parse()
            && let Some(found) = self.look(&name).map_err(|source| self.error(source))?
        {
            return Ok(found);
        }
        let mut begun: Vec<_> = self.list()?;
        begun.retain(|found| !word.is_empty() && found.record.id.starts_with(word));
        if let Some(exact) = begun.iter().position(|found| found.record.id == word) {
            return Ok(begun.swap_remove(exact));
        }
        match (begun.pop(), begun.is_empty()) {
            (None, _) => Err(FindError::None(word.to_owned())),
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err(FindError::Several(word.to_owned())),
        }
    }

    fn look(&self, id: &InstanceId) -> io::Result<Option<Found>> {
        Found::look(&self.path, id)
    }

    fn error(&self, source: io::Error) -> FindError {
        FindError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use launch::ExitStatus;

    use super::*;
    use crate::instances::record::tests::record;
    use crate::instances::{Presence, State, Status};
    use crate::rundir::Error;

    struct World {
        _scratch: tempfile::TempDir,
        run: RunDir,
        instances: Instances,
    }

    impl World {
        fn new() -> Self {
            let scratch = tempfile::tempdir().unwrap();
            let run = RunDir::at(scratch.path().join("run")).unwrap();
            let instances = Instances::of(&run);
            Self {
                _scratch: scratch,
                run,
                instances,
            }
        }

        fn start(&self, name: &str, id: &str, auto_remove: bool) -> (crate::InstanceDir, Presence) {
            let dir = self.run.create(Some(&name.parse().unwrap())).unwrap();
            let mut record = record(name);
            record.id = id.into();
            record.asked.auto_remove = auto_remove;
            let presence = Presence::announce(dir.path(), &record).unwrap();
            (dir, presence)
        }

        fn names(&self) -> Vec<String> {
            let all = self.instances.list().unwrap();
            all.into_iter().map(|found| found.record.name).collect()
        }
    }

    fn exited(code: u8) -> Status {
        Status::ended(ExitStatus::Exited(code), false)
    }

    #[test]
    fn one_that_runs_is_found_by_name_id_and_prefix() {
        let world = World::new();
        let _web = world.start("web", "aa11", true);
        let _db = world.start("db", "aa22", true);
        for (word, name) in [
            ("web", "web"),
            ("aa11", "web"),
            ("aa1", "web"),
            ("aa22", "db"),
        ] {
            let found = world.instances.find(word).unwrap();
            assert_eq!(
                (found.record.name.as_str(), &found.state),
                (name, &State::Running)
            );
        }
        assert_eq!(world.names(), ["db", "web"]);
    }

    #[test]
    fn what_is_not_there_or_not_alone_is_an_error_in_dockers_words() {
        let world = World::new();
        let _web = world.start("web", "aa11", true);
        let _db = world.start("db", "aa22", true);
        for (word, said) in [
            ("we", "no such instance: we"),
            ("", "no such instance: "),
            ("../run/web", "no such instance: ../run/web"),
            ("a", "multiple IDs found with provided prefix: a"),
        ] {
            assert_eq!(world.instances.find(word).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_name_goes_before_an_id() {
        let world = World::new();
        let _named = world.start("aa", "bb11", true);
        let _other = world.start("web", "aa22", true);
        assert_eq!(world.instances.find("aa").unwrap().record.name, "aa");
    }

    #[test]
    fn one_that_is_kept_is_found_with_its_end_and_survives_sweeps() {
        let world = World::new();
        let (dir, mut presence) = world.start("web", "aa11", false);
        std::fs::create_dir_all(dir.path().join("upper/a")).unwrap();
        let path = dir.path().to_owned();
        drop(dir);
        assert!(!path.join("upper").exists());
        // Between the end and the word of it, it is nobody's leftover.
        assert!(world.run.sweep().unwrap().cleared.is_empty());
        let status = exited(3);
        presence.end(&status).unwrap();
        drop(presence);
        for _ in 0..2 {
            let swept = world.run.sweep().unwrap();
            assert!(
                swept.cleared.is_empty() && swept.failed.is_empty(),
                "{swept:?}"
            );
            assert_eq!(
                world.instances.find("web").unwrap().state,
                State::Ended(status.clone())
            );
        }
    }

    #[test]
    fn the_name_of_one_that_is_kept_is_taken_until_it_is_removed() {
        let world = World::new();
        let name = "web".parse().unwrap();
        let (dir, mut presence) = world.start("web", "aa11", false);
        let running = world.run.remove(&name).unwrap_err();
        assert!(matches!(running, Error::Running(_)), "{running}");
        drop(dir);
        presence.end(&exited(0)).unwrap();
        drop(presence);
        let taken = world.run.create(Some(&name)).unwrap_err();
        assert_eq!(
            taken.to_string(),
            "the name web is in use by an instance that has ended"
        );
        assert!(world.run.remove(&name).unwrap());
        assert!(!world.run.remove(&name).unwrap());
        world.run.create(Some(&name)).unwrap();
    }

    #[test]
    fn one_that_is_not_kept_is_gone_but_its_end_is_told_to_those_who_wait() {
        let world = World::new();
        let (dir, mut presence) = world.start("web", "aa11", true);
        let waiting = world
            .instances
            .find("web")
            .unwrap()
            .waiting()
            .unwrap()
            .unwrap();
        assert!(!waiting.ends_within(Duration::from_millis(1)).unwrap());
        drop(dir);
        assert_eq!(world.names(), [] as [&str; 0]);
        let status = exited(7);
        presence.end(&status).unwrap();
        drop(presence);
        assert!(waiting.ends_within(Duration::ZERO).unwrap());
        assert_eq!(waiting.wait().unwrap(), Some(status));
    }

    #[test]
    fn one_whose_owner_was_killed_is_a_leftover_whatever_it_was_to_become() {
        for auto_remove in [true, false] {
            let world = World::new();
            let (dir, presence) = world.start("web", "aa11", auto_remove);
            // What the kernel does for a process that is killed.
            crate::rundir::tests::abandon(dir);
            drop(presence);
            assert_eq!(world.names(), [] as [&str; 0]);
            assert_eq!(world.run.sweep().unwrap().cleared.len(), 1);
            assert!(!world.run.path().join("web").exists());
        }
    }

    #[test]
    fn one_whose_owner_was_killed_after_the_word_of_its_end_is_kept() {
        let world = World::new();
        let (dir, presence) = world.start("web", "aa11", false);
        let path = dir.path().to_owned();
        std::fs::create_dir(path.join("upper")).unwrap();
        crate::rundir::tests::abandon(dir);
        drop(presence);
        std::fs::write(path.join("status"), exited(0).to_line().unwrap()).unwrap();
        assert_eq!(world.names(), ["web"]);
        world.run.sweep().unwrap();
        assert_eq!(world.names(), ["web"]);
        assert!(!path.join("upper").exists());
    }

    #[test]
    fn what_is_planted_among_them_is_no_instance() {
        let world = World::new();
        let (dir, _presence) = world.start("web", "aa11", true);
        symlink(dir.path(), world.run.path().join("link")).unwrap();
        std::fs::write(world.run.path().join("file"), "").unwrap();
        std::fs::create_dir(world.run.path().join("empty")).unwrap();
        std::fs::create_dir_all(world.run.path().join("dirs/record")).unwrap();
        assert_eq!(world.names(), ["web"]);
        for word in ["link", "file", "empty", "dirs"] {
            assert!(world.instances.find(word).is_err(), "{word}");
        }
    }
}
