use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::{Result, jaula_run};

/// What jaula needs beside a container that runs, right after the launch and when it has waited
/// for a while: proportional set size, in bytes.
pub fn while_it_runs(jaula: &Path, run_dir: &Path) -> Result<[u64; 2]> {
    let mut words = jaula_run(jaula)?;
    let image = words.pop().ok_or("no image")?;
    let (program, args) = words.split_first().ok_or("no command")?;
    let mut jaula = Command::new(program)
        .args(args)
        .args(["--interactive", &image])
        // It ends with its input.
        .args(["sh", "-c", "echo here; exec cat"])
        .env("JAULA_RUN_DIR", run_dir.join("jaula"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let measured = measure(&mut jaula);
    drop(jaula.stdin.take());
    jaula.wait()?;
    measured
}

fn measure(jaula: &mut Child) -> Result<[u64; 2]> {
    let stdout = jaula.stdout.as_mut().ok_or("no output")?;
    stdout.read_exact(&mut [0; "here\n".len()])?;
    let at_first = pss_bytes(jaula.id())?;
    thread::sleep(Duration::from_secs(2));
    Ok([at_first, pss_bytes(jaula.id())?])
}

fn pss_bytes(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = pss.and_then(|pss| pss.split_whitespace().next());
    Ok(kib.ok_or("the process has no PSS")?.parse::<u64>()? << 10)
}
