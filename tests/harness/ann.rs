//! Ann, an ordinary user that only the test's own processes know: they see other files in `/etc`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::nobody::{is_root, nobodys_jaula};
use super::{Seen, World, see};

/// Her user and her group.
pub const ID: u32 = 3000;

/// The user and the group that are number 1 in her user namespace, if she has ranges.
pub const FIRST: u32 = 600_000;

/// Makes `/etc` in a mount namespace what it is in `$0`, and the devices that networks and VMs need
/// some that everybody may use; enters cgroups; then becomes her.
const BECOME: &str = r#"
set -e
for dir in $CGROUPS; do echo $$ > "$dir/cgroup.procs"; done
for name in passwd subuid subgid; do mount --bind "$0/$name" "/etc/$name"; done
mount -t tmpfs none "$0/dev"
mknod -m 666 "$0/dev/tun" c 10 200
mknod -m 666 "$0/dev/kvm" c 10 232
for device in net/tun kvm; do
    if [ -e "/dev/$device" ]; then mount --bind "$0/dev/${device##*/}" "/dev/$device"; fi
done
exec setpriv --reuid=3000 --regid=3000 --clear-groups -- "$@"
"#;

pub struct Ann {
    pub world: World,
    jaula: PathBuf,
}

/// A cgroup of hers in each of some version 1 hierarchies, as an administrator delegates them.
/// Removed when this is dropped.
pub struct Delegation(Vec<PathBuf>);

impl Delegation {
    /// `None` where there is no such hierarchy; that is said.
    pub fn of(controllers: &[&str]) -> Option<Self> {
        let mut delegation = Self(Vec::new());
        for controller in controllers {
            let hierarchy = Path::new("/sys/fs/cgroup").join(controller);
            if !hierarchy.join("cgroup.procs").exists() || hierarchy.join("cgroup.type").exists() {
                eprintln!(
                    "SKIPPED: there is no hierarchy of version 1 at {}",
                    hierarchy.display()
                );
                return None;
            }
            let dir = hierarchy.join(format!("ann-{}", std::process::id()));
            fs::create_dir(&dir).unwrap();
            chown(&dir, Some(ID), Some(ID)).unwrap();
            chown(dir.join("cgroup.procs"), Some(ID), Some(ID)).unwrap();
            delegation.0.push(dir);
        }
        Some(delegation)
    }

    /// Has what is started be in them.
    pub fn apply(&self, command: &mut Command) {
        let dirs: Vec<_> = self.0.iter().map(|dir| dir.to_str().unwrap()).collect();
        command.env("CGROUPS", dirs.join(" "));
    }
}

impl Drop for Delegation {
    fn drop(&mut self) {
        for dir in &self.0 {
            fs::remove_dir(dir).unwrap();
        }
    }
}

/// What `/etc/subuid` and `/etc/subgid` give her.
#[derive(Clone, Copy)]
pub enum Ranges {
    Given,
    None,
}

impl Ann {
    /// `None` where there can be no other users; that is said.
    pub fn new(ranges: Ranges) -> Option<Self> {
        let has_tools = ["newuidmap", "newgidmap", "setpriv", "unshare"]
            .iter()
            .all(|tool| {
                let found = Command::new(tool).arg("--version").output().is_ok();
                if !found {
                    eprintln!("SKIPPED: there is no {tool}, see setup/packages.txt");
                }
                found
            });
        if !is_root() || !has_tools {
            return None;
        }
        for file in ["/etc/subuid", "/etc/subgid"] {
            if !Path::new(file).exists() {
                eprintln!("SKIPPED: there is no {file}");
                return None;
            }
        }
        let world = World::new();
        let ann = Self {
            jaula: nobodys_jaula(&world),
            world,
        };
        fs::create_dir_all(ann.etc().join("dev")).unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let passwd = format!("{passwd}ann:x:{ID}:{ID}::/:/bin/sh\n");
        fs::write(ann.etc().join("passwd"), passwd).unwrap();
        ann.give(ranges);
        Some(ann)
    }

    /// Changes what she has.
    pub fn give(&self, ranges: Ranges) {
        let line = match ranges {
            Ranges::Given => format!("ann:{FIRST}:65536\n"),
            Ranges::None => String::new(),
        };
        for file in ["subuid", "subgid"] {
            fs::write(self.etc().join(file), &line).unwrap();
        }
    }

    fn etc(&self) -> PathBuf {
        self.world.dir().join("etc")
    }

    /// Gives her the guest kernel that the tests have, in her cache.
    pub fn give_kernel(&self) {
        let kernels = |cache: &Path| cache.join("kernels");
        let ours = std::env::var("JAULA_CACHE_DIR").unwrap_or("/var/cache/jaula".to_owned());
        let hers = self.directory("cache");
        let copied = Command::new("cp")
            .args(["-r", "--"])
            .args([kernels(ours.as_ref()), kernels(&hers)])
            .status()
            .unwrap();
        assert!(copied.success());
        let given = Command::new("chown")
            .args(["-R", &format!("{ID}:{ID}")])
            .arg(&hers)
            .status()
            .unwrap();
        assert!(given.success());
    }

    /// A new directory of hers.
    pub fn directory(&self, name: &str) -> PathBuf {
        let dir = self.world.dir().join(name);
        fs::create_dir(&dir).unwrap();
        chown(&dir, Some(ID), Some(ID)).unwrap();
        dir
    }

    /// Lets her read what the test made.
    pub fn show(&self, path: &Path) {
        if path.is_dir() {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            for entry in fs::read_dir(path).unwrap() {
                self.show(&entry.unwrap().path());
            }
        } else {
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
    }

    /// jaula, started by her.
    pub fn jaula(&self, args: &[&str]) -> Command {
        let (etc, jaula) = (self.etc(), self.jaula.clone());
        let unshare = ["--mount", "--propagation=private", "--", "sh", "-c", BECOME];
        let paths = [etc.to_str().unwrap(), jaula.to_str().unwrap()];
        let mut command = self
            .world
            .command("unshare", [&unshare[..], &paths, args].concat());
        command.env("JAULA_CACHE_DIR", self.world.dir().join("cache"));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Seen {
        see(self.jaula(args), b"")
    }

    /// What it says on standard output when all is well.
    pub fn says(&self, args: &[&str]) -> String {
        let seen = self.run(args);
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{args:?}");
        seen.stdout_text()
    }
}
