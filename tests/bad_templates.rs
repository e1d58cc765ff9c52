//! A template that is half made or damaged is never used: it is made again, or the VM boots.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use harness::nobody::is_root;
use harness::small_disk::SmallDisk;
use harness::{Place, Seen, World, can_run, see};
use launch::Side;
use vmm::snapshot::{MEMORY, STATE, StateFile};

/// A cache of the test's own: all but templates is in that of all tests.
struct Templates<'a> {
    world: &'a World,
    cache: PathBuf,
}

impl<'a> Templates<'a> {
    fn new(world: &'a World) -> Self {
        let cache = world.dir().join("cache");
        fs::create_dir(&cache).unwrap();
        let common = host::paths::cache_dir().unwrap();
        for shelf in ["digests", "disks", "images", "kernels"] {
            fs::create_dir_all(common.join(shelf)).unwrap();
            symlink(common.join(shelf), cache.join(shelf)).unwrap();
        }
        Self { world, cache }
    }

    fn jaula<'b>(&self, args: impl IntoIterator<Item = &'b str>) -> Command {
        let mut command = self.world.jaula(args);
        command.env("JAULA_CACHE_DIR", &self.cache);
        command
    }

    fn run<'b>(&self, args: impl IntoIterator<Item = &'b str>) -> Seen {
        see(self.jaula(args), b"")
    }

    fn dir(&self) -> PathBuf {
        self.cache.join("templates")
    }

    /// What there is, but for the lock.
    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir()).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }

    /// Has the template that all tests use, so that it may be damaged. Returns its directory.
    fn copy_common(&self) -> PathBuf {
        let built = self.world.run(["template", "build"]);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        let beginning = built.stdout_text();
        let common = host::paths::cache_dir().unwrap().join("templates");
        let names = fs::read_dir(&common).unwrap().map(|entry| entry.unwrap());
        let found = names
            .map(|entry| entry.file_name().into_string().unwrap())
            .find(|name| name.starts_with(beginning.trim_end()));
        let name = found.unwrap();
        fs::create_dir_all(self.dir()).unwrap();
        // It knows of holes.
        let copied = Command::new("cp")
            .arg("-a")
            .args([common.join(&name), self.dir()])
            .status();
        assert!(copied.unwrap().success());
        self.dir().join(name)
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn what_a_killed_build_left_is_not_used_and_two_builds_at_once_make_one() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let templates = Templates::new(&world);
    let build = || spawn(templates.jaula(["template", "build"]));

    let mut killed = build();
    while templates.entries().is_empty() {
        assert_eq!(killed.try_wait().unwrap(), None);
        thread::sleep(Duration::from_micros(100));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let left = templates.entries();
    assert!(
        left.iter().all(|name| name.starts_with('.')),
        "killed too late: {left:?}"
    );
    let listed = templates.run(["template", "ls"]).stdout_text();
    assert_eq!(listed.lines().count(), 1, "{listed}");

    let both = [build(), build()].map(|build| build.wait_with_output().unwrap());
    for output in &both {
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, both[0].stdout);
    }
    let [only] = &templates.entries()[..] else {
        panic!("{:?}", templates.entries());
    };
    let shown = String::from_utf8_lossy(&both[0].stdout);
    assert!(only.starts_with(shown.trim_end()));
    let warm = [
        "run", "--as", "vm", "--start", "warm", "busybox", "echo", "up",
    ];
    let seen = templates.run(warm);
    assert_eq!(
        (seen.code, seen.stdout_text().as_str(), seen.stderr.as_str()),
        (Some(0), "up\n", "")
    );
    world.assert_no_traces();
}

/// Changes the last byte of data.
fn damage(template: &Path) {
    let state = StateFile::read(template).unwrap();
    let end = state.description().memory.extents().end();
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open(template.join(MEMORY))
        .unwrap();
    let mut byte = [0];
    memory.read_exact_at(&mut byte, end - 1).unwrap();
    byte[0] ^= 1;
    memory.write_all_at(&byte, end - 1).unwrap();
}

#[test]
fn a_damaged_template_is_made_again_when_a_warm_start_is_asked_for() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let templates = Templates::new(&world);
    damage(&templates.copy_common());
    let warm = [
        "run", "--as", "vm", "--start", "warm", "busybox", "echo", "up",
    ];
    let seen = templates.run(warm);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_eq!(seen.stdout_text(), "up\n");
    let why = seen.stderr.lines().next().unwrap_or_default();
    assert!(why.contains("the template is made again: "), "{why}");
    assert!(why.contains("is damaged"), "{why}");
    let again = templates.run(warm);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    world.assert_no_traces();
}

#[test]
fn an_unusable_template_is_left_alone_by_a_vm_that_may_boot() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let templates = Templates::new(&world);
    let template = templates.copy_common();
    let state = template.join(STATE);
    fs::write(&state, &fs::read(&state).unwrap()[..4096]).unwrap();
    let seen = templates.run(["run", "--as", "vm", "busybox", "echo", "up"]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_eq!(seen.stdout_text(), "up\n");
    assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    for word in ["booting, as the template is of no use: ", "cut off"] {
        assert!(seen.stderr.contains(word), "{}", seen.stderr);
    }
    let listed = templates.run(["template", "ls"]).stdout_text();
    assert!(listed.contains("damaged: "), "{listed}");
    let found = templates.run(["doctor"]).stdout_text();
    assert!(found.contains("! template "), "{found}");
    assert!(found.contains("→ jaula template build"), "{found}");
    world.assert_no_traces();
}

#[test]
fn a_full_disk_is_named_when_a_template_is_built_and_nothing_is_left_on_it() {
    if !can_run(Side::Vm) || !is_root() {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let templates = Templates::new(&world);
    let _disk = SmallDisk::mount(&templates.dir());
    let seen = templates.run(["template", "build"]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    assert_eq!(seen.stdout_text(), "");
    // Before, it says what it does.
    let why = seen.stderr.lines().last().unwrap_or_default();
    for word in ["jaula: there is no room", "; remove "] {
        assert!(why.contains(word), "{}", seen.stderr);
    }
    assert_eq!(templates.entries(), Vec::<String>::new());
    world.assert_no_traces();
}
