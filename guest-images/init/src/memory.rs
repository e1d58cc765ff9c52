//! What this machine's kernel says of its memory.

use std::fs;

use launch::GuestMemory;
use rustix::io::Errno;

/// Reads it, proc_meminfo(5).
pub(crate) fn now() -> Result<GuestMemory, Errno> {
    let text = fs::read_to_string("/proc/meminfo")
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    of_text(&text).ok_or(Errno::NODATA)
}

fn of_text(text: &str) -> Option<GuestMemory> {
    // Lines such as "MemTotal:  124 kB", where kB are KiB.
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.strip_suffix(" kB")?.trim_start().parse().ok()?;
        kib.checked_mul(1 << 10)
    };
    Some(GuestMemory {
        granted_bytes: bytes("MemTotal:")?,
        left_bytes: bytes("MemAvailable:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_has_and_what_is_left_are_read_in_bytes() {
        let text = "MemTotal:         121 kB\nMemFree:   9 kB\nMemAvailable:     97 kB\n";
        let expected = GuestMemory {
            granted_bytes: 121 << 10,
            left_bytes: 97 << 10,
        };
        assert_eq!(of_text(text), Some(expected));
        assert_eq!(of_text("MemTotal:         121 kB\n"), None);
        assert_eq!(of_text("MemTotal: x kB\nMemAvailable: 1 kB\n"), None);
        assert!(now().is_ok());
    }
}
