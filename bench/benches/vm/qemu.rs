//! QEMU's `microvm`, where it is installed, with the same kernel, archive and command line.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bench::time;
use guest_images::{Cache, initramfs};
use launch::NoProgress;
use vmm::boot::cmdline::Voice;
use vmm::builder;
use vmm::ring0::Ring0;

use crate::vm_runs::Result;

const QEMU: &str = "qemu-system-x86_64";
/// What Linux says right before it executes PID 1 (`run_init_process`, `init/main.c`).
const PID_1: &str = "Run /init as init process";
/// Longer than a boot takes anywhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prints how long it takes from its start to PID 1, or how far it gets. It tells what it does on its
/// serial port, as jaula's does not: nothing else says that it is there.
pub fn print(cache: &Cache, vmlinux: &Path, ring0: Ring0) -> Result<()> {
    let what = "QEMU microvm, start of the process to PID 1";
    let initrd = initramfs(cache, &NoProgress)?;
    let command_line = builder::command_line(ring0, Voice::Verbose, 0, None)?;
    let start = Instant::now();
    let qemu = Command::new(QEMU)
        .args(["-M", "microvm", "-enable-kvm", "-cpu", "host", "-m", "128"])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
        ])
        .args(["-serial", "stdio", "-kernel"])
        .arg(vmlinux)
        .arg("-initrd")
        .arg(initrd)
        .arg("-append")
        .arg(command_line.to_str()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let qemu = match qemu {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("  {what:45} not measured: there is no {QEMU} (Debian's qemu-system-x86)");
            return Ok(());
        }
        qemu => qemu?,
    };
    match wait_for_pid_1(Killed(qemu), start)? {
        Ok(boot) => println!("  {what:45} {}", time(boot.as_nanos() as u64)),
        Err(last) => println!("  {what:45} not reached; the last that it said: {last:?}"),
    }
    Ok(())
}

/// Its time, or the last line of a guest that does not get there.
fn wait_for_pid_1(
    mut qemu: Killed,
    start: Instant,
) -> Result<std::result::Result<Duration, String>> {
    let serial = qemu.0.stdout.take().ok_or("no serial port")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(serial).lines().map_while(|line| line.ok()) {
            // Nobody may be listening any more.
            let _ = sender.send(line);
        }
    });
    let mut last = String::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
        if line.contains(PID_1) {
            return Ok(Ok(start.elapsed()));
        }
        if !line.trim().is_empty() {
            last = line;
        }
    }
    if last.is_empty() {
        last = qemu.complaint();
    }
    Ok(Err(last))
}

/// A process that is killed and waited for in the end.
struct Killed(Child);

impl Killed {
    /// The last line of what it says of itself, to its end.
    fn complaint(&mut self) -> String {
        let mut said = String::new();
        // It may have ended by itself.
        let _ = self.0.kill();
        if let Some(mut stderr) = self.0.stderr.take() {
            // What can't be read is not told.
            let _ = stderr.read_to_string(&mut said);
        }
        said.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
