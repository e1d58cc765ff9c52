use std::fs;
use std::io::{self, ErrorKind};

/// The proportional share of memory of the process `pid`, in bytes: `Pss` of
/// `/proc/PID/smaps_rollup`, proc_pid_smaps(5). A page that n processes share counts as an nth in
/// each.
///
/// # Errors
///
/// When there is no such process, or the kernel tells none of it.
pub fn pss_bytes(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = pss.and_then(|pss| pss.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or(ErrorKind::InvalidData)? << 10)
}
