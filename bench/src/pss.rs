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

/// The sum of that of a process and of all that descend from it. One that ends meanwhile counts not.
///
/// # Errors
///
/// When the process itself is gone, or the kernel tells none of one.
pub(crate) fn pss_of_tree_bytes(root: u32) -> io::Result<u64> {
    let mut bytes = pss_bytes(root)?;
    let mut to_do = children(root)?;
    while let Some(pid) = to_do.pop() {
        match pss_bytes(pid) {
            Ok(share) => bytes += share,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        }
        to_do.extend(children(pid)?);
    }
    Ok(bytes)
}

/// Those of all its threads: proc_pid_children(5).
pub(crate) fn children(pid: u32) -> io::Result<Vec<u32>> {
    let threads = match fs::read_dir(format!("/proc/{pid}/task")) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        threads => threads?,
    };
    let mut children = Vec::new();
    for thread in threads {
        match fs::read_to_string(thread?.path().join("children")) {
            Ok(list) => children.extend(
                list.split_whitespace()
                    .filter_map(|it| it.parse::<u32>().ok()),
            ),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

fn is_gone(error: &io::Error) -> bool {
    let is_no_process = error.raw_os_error() == Some(nix::libc::ESRCH);
    is_no_process || error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn all_that_descends_from_a_process_is_in_the_sum() {
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'sleep 1000 & echo; wait' & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        shell
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut line)
            .unwrap();
        let root = shell.id();
        let [inner] = children(root).unwrap()[..] else {
            panic!("it has one child");
        };
        let [sleep] = children(inner).unwrap()[..] else {
            panic!("it has one child");
        };
        // As long as it is not executed it may have no memory of its own to be read.
        while fs::read_to_string(format!("/proc/{sleep}/comm")).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        let each = [root, inner, sleep].map(|pid| pss_bytes(pid).unwrap());
        let all = pss_of_tree_bytes(root).unwrap();
        // What one shares with others of the host changes with them.
        assert!(
            all > each[0] + each[1] && all < 2 * each.iter().sum::<u64>(),
            "{each:?}"
        );
        for pid in [sleep, inner] {
            let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
        }
        shell.wait().unwrap();
        assert!(pss_of_tree_bytes(root).is_err());
    }
}
