//! The directory of a suite's results.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bench::changes;
use bench::export::{self, KeptError, Measured};
use bench::html::{self, SuitePage};
use bench::suite::SuiteWorkload;
use bench::{Environment, Programs};
use host::whole_file;

use super::bounded;
use crate::installation;

/// What keeps results from being written or read.
#[derive(Debug, thiserror::Error)]
enum ResultsError {
    #[error("can't write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("can't read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("can't use {}", path.display())]
    Kept { path: PathBuf, source: KeptError },
    #[error("{} holds results already", path.display())]
    InUse { path: PathBuf },
    #[error("{name} was measured with another image, command or flags")]
    OtherWorkload { name: String },
    #[error("can't go on in {}: {difference}", path.display())]
    OtherPlace { path: PathBuf, difference: String },
    #[error("{} holds no results", path.display())]
    Nothing { path: PathBuf },
}

impl From<ResultsError> for launch::Error {
    fn from(error: ResultsError) -> Self {
        let remedy = match &error {
            ResultsError::InUse { .. } => Some("name another --out, or go on with --resume"),
            ResultsError::Kept { .. }
            | ResultsError::OtherWorkload { .. }
            | ResultsError::OtherPlace { .. } => Some("measure again, with another --out"),
            ResultsError::Nothing { .. } => Some("name what jaula bench --out was given"),
            _ => None,
        };
        Self::remedied(error, remedy)
    }
}

/// What an earlier run has measured, by name; at least one workload.
pub fn read(dir: &Path) -> Result<Vec<Measured>, launch::Error> {
    let of_each = dir.join(OF_EACH);
    let nothing = || ResultsError::Nothing { path: dir.into() };
    let entries = match fs::read_dir(&of_each) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(nothing().into()),
        Err(source) => {
            return Err(ResultsError::Read {
                path: of_each,
                source,
            }
            .into());
        }
    };
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|source| ResultsError::Read {
            path: of_each,
            source,
        })?;
    // What was being written when a run was killed has another ending.
    paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
    paths.sort();
    let all = paths
        .into_iter()
        .filter_map(|path| read_one(path).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    match all.is_empty() {
        true => Err(nothing().into()),
        false => Ok(all),
    }
}

/// More than 100,000 runs of each of three ways take at 3 kB each, as runs with figures that the
/// command reports have; others have 0.6 to 1.3 kB.
const MOST_MIB: u64 = 1024;

fn read_one(path: PathBuf) -> Result<Option<Measured>, ResultsError> {
    let bytes = match bounded::read(&path, MOST_MIB) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ResultsError::Read { path, source }),
    };
    match export::read_kept(&bytes) {
        Ok(measured) => Ok(Some(measured)),
        Err(source) => Err(ResultsError::Kept { path, source }),
    }
}

/// Where results are kept.
pub struct Results {
    dir: PathBuf,
}

/// What is made of each workload as soon as it is measured, so that an interrupted suite can go on.
const OF_EACH: &str = "workloads";

impl Results {
    /// A new or empty directory, unless results in it are to be gone on with.
    pub fn open(dir: &Path, resume: bool) -> Result<Self, launch::Error> {
        let of_each = dir.join(OF_EACH);
        fs::create_dir_all(&of_each).map_err(|source| ResultsError::Write {
            path: of_each.clone(),
            source,
        })?;
        let mut entries = fs::read_dir(&of_each).map_err(|source| ResultsError::Read {
            path: of_each.clone(),
            source,
        })?;
        if !resume && entries.next().is_some() {
            return Err(ResultsError::InUse { path: dir.into() }.into());
        }
        Ok(Self { dir: dir.into() })
    }

    /// What an earlier run has measured of these workloads, by name: of these very ones, and, if more
    /// is to be measured, at a place like this.
    pub fn earlier<'a>(
        &self,
        workloads: impl Iterator<Item = &'a SuiteWorkload>,
    ) -> Result<HashMap<String, Measured>, launch::Error> {
        let mut earlier = HashMap::new();
        let mut is_complete = true;
        for workload in workloads {
            let Some(measured) = read_one(self.of(&workload.name))? else {
                is_complete = false;
                continue;
            };
            if measured.words != workload.words() {
                let name = workload.name.clone();
                return Err(ResultsError::OtherWorkload { name }.into());
            }
            earlier.insert(workload.name.clone(), measured);
        }
        if !is_complete && !earlier.is_empty() {
            let places = earlier.values().map(|it| &it.comparison.environment);
            self.check_places(places)?;
        }
        Ok(earlier)
    }

    /// One report is of one host, and of one jaula.
    fn check_places<'a>(
        &self,
        places: impl Iterator<Item = &'a Environment>,
    ) -> Result<(), ResultsError> {
        let mut is = Environment::of_this_host(installation::ring0());
        is.programs = Programs::this(None);
        for was in places {
            // Which kernel guests will boot is seen when one does.
            let guest_kernel = &was.programs.guest_kernel_sha256;
            is.programs.guest_kernel_sha256.clone_from(guest_kernel);
            if let Some(difference) = changes::differences(was, &is).into_iter().next() {
                let path = self.dir.clone();
                return Err(ResultsError::OtherPlace { path, difference });
            }
        }
        Ok(())
    }

    /// Keeps it, whole or not at all.
    pub fn keep(&self, measured: &Measured) -> Result<(), launch::Error> {
        let path = self.of(&measured.name);
        whole_file::write(&path, export::kept(measured).as_bytes(), 0o666)
            .map_err(|source| ResultsError::Write { path, source })?;
        Ok(())
    }

    /// Writes what is for people and programs, `report` being the text. Where the page is, if there is
    /// anything to show.
    pub fn write(
        &self,
        suite: SuitePage<'_>,
        report: &str,
    ) -> Result<Option<PathBuf>, launch::Error> {
        let all = suite.all;
        let page = html::render_suite(suite);
        let samples: String = all.iter().map(export::samples).collect();
        for (name, text) in [
            ("samples.jsonl", samples),
            ("summary.json", export::summary(all)),
            ("results.csv", export::csv(all)),
            ("report.md", report.to_owned()),
            ("hyperfine.json", export::hyperfine(all)),
        ] {
            self.write_one(name, &text)?;
        }
        for (name, text) in [
            ("density.csv", export::density_csv(all)),
            ("concurrency.csv", export::concurrency_csv(all)),
            ("elasticity.csv", export::elasticity_csv(all)),
        ] {
            if let Some(text) = text {
                self.write_one(name, &text)?;
            }
        }
        page.map(|page| self.write_one("report.html", &page))
            .transpose()
    }

    fn write_one(&self, name: &str, text: &str) -> Result<PathBuf, launch::Error> {
        let path = self.dir.join(name);
        match fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(ResultsError::Write { path, source }.into()),
        }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.dir.join(OF_EACH).join(format!("{name}.json"))
    }
}
