use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use host::search_path::is_installed;
use serde_json::{Value, json};

use crate::{CPUS, MEMORY_BYTES, PIDS, Result};

/// The period that `--cpus` is counted in, in microseconds, as with docker.
const PERIOD_US: u64 = 100_000;

/// A container as an OCI runtime is told of it: what the runtime itself proposes (`runc spec`),
/// with our command, our root and our limits. It has no seccomp profile.
pub struct Bundle {
    runtime: &'static str,
    dir: PathBuf,
    state: PathBuf,
}

impl Bundle {
    /// Makes it below `tmpfs`; `None` if there is no such runtime.
    pub fn new(runtime: &'static str, tmpfs: &Path, root: &Path) -> Result<Option<Self>> {
        if !is_installed(runtime) {
            return Ok(None);
        }
        let dir = tmpfs.join(runtime);
        fs::create_dir(&dir)?;
        let proposed = Command::new(runtime)
            .arg("spec")
            .current_dir(&dir)
            .output()?;
        if !proposed.status.success() {
            return Err(format!("{runtime} spec ended with {}", proposed.status).into());
        }
        let config = dir.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&config)?)?;
        spec["process"]["args"] = json!(["true"]);
        spec["process"]["terminal"] = json!(false);
        spec["root"]["path"] = json!(root);
        let resources = &mut spec["linux"]["resources"];
        resources["memory"] = json!({ "limit": MEMORY_BYTES });
        resources["cpu"] = json!({ "quota": CPUS * PERIOD_US, "period": PERIOD_US });
        resources["pids"] = json!({ "limit": PIDS });
        fs::write(&config, serde_json::to_vec(&spec)?)?;
        let state = tmpfs.join(format!("{runtime}-state"));
        Ok(Some(Self {
            runtime,
            dir,
            state,
        }))
    }

    /// Runs it, from the making of the container to its removal.
    pub fn command(&self) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let id = format!("jaula-bench-{}", std::process::id());
        [
            self.runtime.to_owned(),
            "--root".into(),
            path(&self.state),
            "run".into(),
            "--bundle".into(),
            path(&self.dir),
            id,
        ]
        .into()
    }
}
