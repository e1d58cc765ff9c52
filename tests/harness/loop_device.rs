//! A block device of the host's whose content is a file of the test's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::World;
use super::nobody::is_root;

pub struct LoopDevice {
    pub path: String,
    file: PathBuf,
}

impl LoopDevice {
    /// One that holds `content`; `None`, and it is said, where there can't be any.
    pub fn new(world: &World, name: &str, content: &[u8]) -> Option<Self> {
        let file = world.dir().join(name);
        fs::write(&file, content).unwrap();
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&file)
            .output()
            .unwrap();
        let path = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        if path.is_empty() {
            let why = String::from_utf8_lossy(&made.stderr);
            assert!(!is_root() || why.contains("No such"), "{why}");
            eprintln!("SKIPPED: no loop devices: {why}");
            return None;
        }
        Some(Self { path, file })
    }

    /// What it holds now.
    pub fn content(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let detached = Command::new("losetup").args(["-d", &self.path]).status();
        assert!(detached.unwrap().success());
    }
}
