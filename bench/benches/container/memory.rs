use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bench::pss_bytes;

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
