//! Images that other tools make: umoci and skopeo.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An OCI layout with an image of several layers, built by umoci.
pub struct Layout {
    dir: PathBuf,
    layers: usize,
}

impl Layout {
    /// Whether the tools are there; if not, it is said.
    pub fn can_be_made() -> bool {
        ["umoci", "skopeo"].into_iter().all(|tool| {
            let found = Command::new(tool).arg("--version").output().is_ok();
            if !found {
                eprintln!("SKIPPED: there is no {tool}, see setup/packages.txt");
            }
            found
        })
    }

    /// In `dir`, an image without layers; it goes by the tag `image`.
    pub fn new(dir: &Path) -> Self {
        let layout = Self {
            dir: dir.join("layout"),
            layers: 0,
        };
        layout.umoci(&["init", "--layout", layout.path()]);
        layout.umoci(&["new", "--image", &layout.image()]);
        layout
    }

    /// The layout's directory.
    pub fn path(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn image(&self) -> String {
        format!("{}:image", self.path())
    }

    /// Adds the layer that consists of what `change` does to the root.
    pub fn layer(&mut self, change: impl FnOnce(&Path)) {
        self.layers += 1;
        let bundle = self.dir.with_file_name(format!("bundle-{}", self.layers));
        let bundle_path = bundle.to_str().unwrap();
        let rootless: &[&str] = if nix::unistd::geteuid().is_root() {
            &[]
        } else {
            &["--rootless"]
        };
        let image = self.image();
        self.umoci(&[&["unpack"], rootless, &["--image", &image, bundle_path]].concat());
        change(&bundle.join("rootfs"));
        self.umoci(&["repack", "--image", &image, bundle_path]);
        fs::remove_dir_all(bundle).unwrap();
    }

    /// Sets what the image says of how to run it.
    pub fn config(&self, flags: &[&str]) {
        let image = self.image();
        self.umoci(&[&["config", "--image", &image], flags].concat());
    }

    /// Copies the image to where skopeo's name for a place says.
    pub fn copy_to(&self, place: &str) {
        let from = format!("oci:{}", self.image());
        run("skopeo", &["copy", "--quiet", &from, place]);
    }

    fn umoci(&self, args: &[&str]) {
        run("umoci", args);
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
}

/// A root with a shell.
pub fn busybox(root: &Path) {
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    let busybox = root.join("bin/busybox");
    fs::copy("/bin/busybox", &busybox).unwrap();
    fs::set_permissions(&busybox, Permissions::from_mode(0o755)).unwrap();
    for name in [
        "sh", "ls", "cat", "id", "stat", "echo", "env", "pwd", "sleep", "true",
    ] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    write(root, "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    write(root, "etc/group", "root:x:0:\n");
}

/// Writes a file of a root, and makes the directories that it lies in.
pub fn write(root: &Path, path: &str, contents: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}
