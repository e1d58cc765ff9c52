use std::ffi::{CStr, OsStr, OsString};
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host::search_path::is_installed;
use host::{InstanceDir, RunDir};
use launch::{
    DiskFiles, ExitStatus, Instance, MemorySwap, Network, Prepared, Running, Stdio, Ulimit,
    Workload,
};
use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Error;
use super::controls::Controls;
use super::root::{Root, Writes};
use super::spawned::{Role, Spawned, Start};
use crate::Peer;

/// The period that CPU time is limited in, in microseconds: docker's.
const PERIOD_US: u64 = 100_000;

/// How long a runtime may take to propose a configuration, which is a matter of milliseconds.
const PROPOSES_WITHIN: Duration = Duration::from_secs(30);

/// Makes ready the workload for another runner, timed as a whole process: from the moment before
/// its `execve` to its end, with the making and the removal of the container.
///
/// # Errors
///
/// When it is not installed, the workload asks for what it can't give, which is named, the caller
/// is not root, or it proposes no configuration.
pub fn prepare(
    peer: Peer,
    workload: &Workload,
    run_dir: &Path,
) -> Result<Box<dyn Prepared>, launch::Error> {
    if !is_installed(peer.program()) {
        return Err(Error::NotInstalled.into());
    }
    if !geteuid().is_root() {
        return Err(Error::NotRoot.into());
    }
    super::refuse([
        (!workload.mounts.is_empty(), "a mount"),
        (!workload.devices.is_empty(), "a device"),
        (workload.init, "an init"),
        (workload.terminal.is_some(), "a terminal"),
        (workload.network != Network::default(), "a network"),
    ])?;
    let dir = tempfile::tempdir().map_err(Error::Start)?;
    let mount_point = dir.path().join("image");
    fs::create_dir(&mount_point).map_err(Error::Start)?;
    let root = Root::path(&mount_point);
    let (runner, controls) = match peer {
        Peer::Bwrap => (
            Runner::Bwrap(bwrap(workload, &root)),
            Controls::of(workload)?,
        ),
        runtime => {
            propose(runtime, dir.path(), workload, &root)?;
            let runner = Runner::Runtime {
                program: runtime.program(),
                run: RunDir::at(run_dir)?,
            };
            // It applies what it is told of.
            (runner, Controls::default())
        }
    };
    Ok(Box::new(PreparedPeer {
        runner,
        controls,
        mount_point,
        workload: workload.clone(),
        dir,
    }))
}

struct PreparedPeer {
    runner: Runner,
    /// What the runner is held to itself, and with it what it runs.
    controls: Controls,
    mount_point: PathBuf,
    workload: Workload,
    dir: TempDir,
}

enum Runner {
    /// By these words: all that it runs ends with it.
    Bwrap(Vec<OsString>),
    /// One of the Open Container Initiative. Its containers outlive it.
    Runtime { program: &'static str, run: RunDir },
}

impl Runner {
    /// What starts one container of what is in `bundle`, and where that is on record.
    fn command(&self, bundle: &Path) -> Result<(Command, Option<InstanceDir>), launch::Error> {
        match self {
            Self::Bwrap(words) => {
                let mut program = Command::new(&words[0]);
                program.args(&words[1..]);
                Ok((program, None))
            }
            Self::Runtime { program, run } => {
                let record = run.create(None)?;
                let name = record.note_foreign_cgroups()?;
                let mut program = Command::new(program);
                program.arg("--root").arg(record.path().join("state"));
                program.args(["run", "--bundle"]).arg(bundle).arg(name);
                Ok((program, Some(record)))
            }
        }
    }
}

impl Prepared for PreparedPeer {
    fn disk_files(&self) -> DiskFiles {
        DiskFiles::of_layers(&self.workload.root.layers)
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let layers = &self.workload.root.layers;
        // The runner is told whether it is read-only: it may have to make what it mounts on.
        let root = Root::make(&self.mount_point, layers, Writes::default())?;
        let namespace = root.namespace.as_raw_fd();
        let (program, record) = self.runner.command(self.dir.path())?;
        let controls = self.controls.clone();
        let enter = move || {
            // SAFETY: `Spawned` keeps the root, and with it the descriptor.
            let namespace = unsafe { BorrowedFd::borrow_raw(namespace) };
            setns(namespace, CloneFlags::CLONE_NEWNS)?;
            controls.apply()
        };
        let spawned = Spawned::start(Start {
            root: Some(root),
            record,
            ..Start::now(program, stdio, Role::Runner(None), enter)
        })?;
        Ok(Box::new(spawned))
    }
}

/// Writes into `bundle` what the runtime itself proposes (`runc spec`), with the workload in its
/// place. It has no filter of system calls.
fn propose(
    runtime: Peer,
    bundle: &Path,
    workload: &Workload,
    root: &Path,
) -> Result<(), launch::Error> {
    let mut program = Command::new(runtime.program());
    program.arg("spec").current_dir(bundle);
    let config = bundle.join("config.json");
    let mut spec = proposed(program, &config, PROPOSES_WITHIN)?;
    fill(&mut spec, workload, root);
    fs::write(&config, spec.to_string()).map_err(Error::Start)?;
    Ok(())
}

/// What `program` writes to `config`. It is killed if it has not ended `within` this time.
fn proposed(program: Command, config: &Path, within: Duration) -> Result<Value, launch::Error> {
    let stdio = Stdio::null().map_err(Error::Start)?;
    let running = Spawned::start(Start::now(program, stdio, Role::Helper, || Ok(())))?;
    let ended = running.wait(Some(within))?;
    let ended = ended.ok_or(Error::Hangs(within.as_secs()))?;
    let spec = fs::read(config).ok();
    let spec = spec.and_then(|it| serde_json::from_slice(&it).ok());
    let spec = spec.filter(|_| ended == ExitStatus::Exited(0));
    Ok(spec.ok_or(Error::NoSpec)?)
}

fn fill(spec: &mut Value, workload: &Workload, root: &Path) {
    let command = &workload.command;
    let text = |it: &std::ffi::CString| it.to_string_lossy().into_owned();
    let texts = |all: &[std::ffi::CString]| all.iter().map(text).collect::<Vec<_>>();
    let credentials = command.credentials();
    let process = &mut spec["process"];
    process["args"] = json!(texts(command.argv()));
    process["env"] = json!(texts(command.env()));
    process["cwd"] = json!(command.cwd().to_string_lossy());
    process["terminal"] = json!(false);
    process["user"] = json!({
        "uid": credentials.uid,
        "gid": credentials.gid,
        "additionalGids": credentials.groups,
    });
    limit(process, &workload.ulimits);
    spec["hostname"] = json!(workload.hostname.to_string());
    spec["root"] = json!({ "path": root, "readonly": workload.root.read_only });
    let limits = &workload.resources;
    let resources = &mut spec["linux"]["resources"];
    if let Some(memory) = limits.memory {
        resources["memory"] = json!({ "limit": memory.bytes() });
    }
    match limits.memory_swap {
        Some(MemorySwap::Unlimited) => resources["memory"]["swap"] = json!(-1),
        Some(MemorySwap::Total(total)) => resources["memory"]["swap"] = json!(total.bytes()),
        None => {}
    }
    if let Some(cpus) = limits.cpus {
        let quota = u64::from(cpus.milli_cpus()) * PERIOD_US / 1000;
        resources["cpu"] = json!({ "quota": quota, "period": PERIOD_US });
    }
    if let Some(cpuset) = &limits.cpuset {
        resources["cpu"]["cpus"] = json!(cpuset.to_string());
    }
    if let Some(pids) = limits.pids {
        resources["pids"] = json!({ "limit": pids.get() });
    }
}

/// In the place of what is proposed for the same resources.
fn limit(process: &mut Value, ulimits: &[Ulimit]) {
    for limit in ulimits {
        let name = format!("RLIMIT_{}", limit.name().to_ascii_uppercase());
        let given = json!({ "type": name, "soft": limit.soft, "hard": limit.hard });
        match process["rlimits"].as_array_mut() {
            None => process["rlimits"] = json!([given]),
            Some(limits) => {
                limits.retain(|it| it["type"] != name);
                limits.push(given);
            }
        }
    }
}

fn bwrap(workload: &Workload, root: &Path) -> Vec<OsString> {
    let command = &workload.command;
    let text = |it: &CStr| OsStr::from_bytes(it.to_bytes()).to_owned();
    let bind = match workload.root.read_only {
        true => "--ro-bind",
        false => "--bind",
    };
    let mut words: Vec<OsString> = ["bwrap", "--unshare-all", "--die-with-parent", bind]
        .map(OsString::from)
        .into();
    words.extend([root.into(), "/".into()]);
    words.extend(["--proc", "/proc", "--dev", "/dev", "--clearenv"].map(OsString::from));
    let credentials = command.credentials();
    if (credentials.uid, credentials.gid) != (0, 0) {
        words.push("--unshare-user".into());
        words.extend(["--uid".into(), credentials.uid.to_string().into()]);
        words.extend(["--gid".into(), credentials.gid.to_string().into()]);
    }
    for variable in command.env() {
        let bytes = variable.to_bytes();
        if let Some(equals) = bytes.iter().position(|byte| *byte == b'=') {
            let [name, value] = [&bytes[..equals], &bytes[equals + 1..]].map(OsStr::from_bytes);
            words.extend(["--setenv".into(), name.to_owned(), value.to_owned()]);
        }
    }
    words.extend(["--chdir".into(), text(command.cwd()), "--".into()]);
    words.extend(command.argv().iter().map(|it| text(it)));
    words
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::process;

    use launch::fake::workload;

    use super::*;

    #[test]
    fn a_runtime_that_hangs_is_ended_with_what_it_started() {
        let (mut alive, theirs) = io::pipe().unwrap();
        let theirs_at = format!("/proc/{}/fd/{}", process::id(), theirs.as_raw_fd());
        let mut program = Command::new("sh");
        program.args(["-c", &format!("exec 3> {theirs_at}; sleep 1000 & wait")]);
        let config = Path::new("/nowhere");
        let error = proposed(program, config, Duration::from_secs(1)).unwrap_err();
        let said = "it did not propose a configuration (spec) within 1 s";
        assert_eq!(error.to_string(), said);
        drop(theirs);
        // Until nobody is left who has it open.
        assert_eq!(alive.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn a_runtime_is_told_what_both_sides_are() {
        let mut workload = workload();
        workload.resources.memory = Some("128m".parse().unwrap());
        workload.resources.cpus = Some("1.5".parse().unwrap());
        workload.resources.pids = Some("64".parse().unwrap());
        workload.resources.memory_swap = Some("256m".parse().unwrap());
        workload.resources.cpuset = Some("0-1".parse().unwrap());
        workload.ulimits = vec!["nofile=77:78".parse().unwrap()];
        let mut spec = json!({
            "process": {
                "noNewPrivileges": true,
                "rlimits": [
                    { "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 },
                    { "type": "RLIMIT_CORE", "hard": 0, "soft": 0 },
                ],
            },
            "linux": {},
        });
        fill(&mut spec, &workload, Path::new("/r"));
        assert_eq!(
            spec,
            json!({
                "process": {
                    "args": ["true"],
                    "env": [],
                    "cwd": "/",
                    "terminal": false,
                    "user": { "uid": 0, "gid": 0, "additionalGids": [] },
                    "noNewPrivileges": true,
                    "rlimits": [
                        { "type": "RLIMIT_CORE", "hard": 0, "soft": 0 },
                        { "type": "RLIMIT_NOFILE", "hard": 78, "soft": 77 },
                    ],
                },
                "hostname": "fake",
                "root": { "path": "/r", "readonly": false },
                "linux": { "resources": {
                    "memory": { "limit": 134_217_728, "swap": 268_435_456 },
                    "cpu": { "quota": 150_000, "period": 100_000, "cpus": "0,1" },
                    "pids": { "limit": 64 },
                } },
            })
        );
    }

    #[test]
    fn bubblewrap_is_told_by_flags() {
        let words = bwrap(&workload(), Path::new("/r"));
        let line = words.join(OsStr::new(" "));
        assert_eq!(
            line,
            "bwrap --unshare-all --die-with-parent --bind /r / --proc /proc --dev /dev \
             --clearenv --chdir / -- true"
        );
    }
}
