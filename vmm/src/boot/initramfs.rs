//! The initial RAM file system: one file, `/init`, uncompressed.
//!
//! The format is cpio's "newc" (`Documentation/driver-api/early-userspace/buffer-format.rst` in
//! Linux). It is written straight into guest memory: the only copy that is made.

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::Initrd;
use crate::layout;
use crate::memory::GuestMemory;

const MAGIC: &str = "070701";
/// A regular file that all may execute.
const INIT_MODE: u32 = 0o100_755;
/// Each part of an archive is padded to this.
const ALIGN: usize = 4;
const PAGE_BYTES: u64 = 4096;

/// The archive can't be placed.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// There is no room between the kernel and the end of memory.
    #[error(
        "the guest's init of {init_bytes} bytes does not fit into its memory behind the kernel"
    )]
    NoRoom {
        /// Size of `/init`.
        init_bytes: usize,
    },
    /// It was placed outside of guest memory.
    #[error("the guest's init can't be written to its memory")]
    Write(#[from] GuestMemoryError),
}

/// Writes an archive of `init` to the end of low memory, `kernel_end` or more.
///
/// # Errors
///
/// When it does not fit.
pub fn write(memory: &GuestMemory, init: &[u8], kernel_end: u64) -> Result<Initrd, InitramfsError> {
    let no_room = || InitramfsError::NoRoom {
        init_bytes: init.len(),
    };
    let head = header(1, "init", INIT_MODE, init.len());
    let body_padding = padding(init.len());
    let trailer = header(0, "TRAILER!!!", 0, 0);
    let bytes = head.len() + init.len() + body_padding + trailer.len();

    let start = low_memory_end(memory)
        .checked_sub(bytes as u64)
        .map(|start| start - start % PAGE_BYTES)
        .filter(|start| *start >= kernel_end)
        .ok_or_else(no_room)?;
    let mut at = start;
    for part in [&head[..], init, &[0; ALIGN][..body_padding], &trailer] {
        memory.write_slice(part, GuestAddress(at))?;
        at += part.len() as u64;
    }
    Ok(Initrd {
        start: u32::try_from(start).map_err(|_| no_room())?,
        bytes: u32::try_from(bytes).map_err(|_| no_room())?,
    })
}

/// Where memory ends that a 32-bit address, and a bzImage's `initrd_addr_max`, reaches: 2 GiB at
/// most.
fn low_memory_end(memory: &GuestMemory) -> u64 {
    use vm_memory::{Address, GuestMemoryBackend};
    const INITRD_ADDRESS_MAX: u64 = 0x7fff_ffff;
    memory
        .find_region(GuestAddress(layout::HIGH_MEMORY))
        .map_or(0, |region| {
            use vm_memory::GuestMemoryRegion;
            region.last_addr().raw_value().min(INITRD_ADDRESS_MAX) + 1
        })
}

/// What stands before a file's contents: 13 fields of 8 hexadecimal digits, and the name.
fn header(inode: u32, name: &str, mode: u32, bytes: usize) -> Vec<u8> {
    const NO_CHECK: u32 = 0;
    let links = 1;
    // Owned by root, of the beginning of time, on device 0:0.
    let [uid, gid, mtime, major, minor, r_major, r_minor] = [0; 7];
    let name_bytes = name.len() as u32 + 1;
    let mut header = MAGIC.to_owned();
    for field in [
        inode,
        mode,
        uid,
        gid,
        links,
        mtime,
        bytes as u32,
        major,
        minor,
        r_major,
        r_minor,
        name_bytes,
        NO_CHECK,
    ] {
        header.push_str(&format!("{field:08x}"));
    }
    let mut header = header.into_bytes();
    header.extend(name.bytes());
    header.push(0);
    header.extend(&[0; ALIGN][..padding(header.len())]);
    header
}

fn padding(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN) - bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::memory;

    fn archive(init: &[u8]) -> Vec<u8> {
        let memory = memory::allocate(64 << 20).unwrap();
        let initrd = write(&memory, init, layout::HIGH_MEMORY).unwrap();
        let mut bytes = vec![0; initrd.bytes as usize];
        memory
            .read_slice(&mut bytes, GuestAddress(initrd.start.into()))
            .unwrap();
        bytes
    }

    #[test]
    fn fields_are_where_the_kernel_reads_them() {
        let bytes = archive(b"hello");
        let field = |n: usize| {
            let digits = std::str::from_utf8(&bytes[6 + 8 * n..14 + 8 * n]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(field(1), INIT_MODE);
        assert_eq!(field(6), 5);
        assert_eq!(field(11), 5);
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(&bytes[116..121], b"hello");
    }

    #[test]
    fn cpio_unpacks_it() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["-i", "--to-stdout", "init"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
        else {
            eprintln!("SKIPPED: cpio is not installed");
            return;
        };
        let mut stdin = cpio.stdin.take().unwrap();
        stdin.write_all(&archive(b"hello")).unwrap();
        drop(stdin);
        assert_eq!(cpio.wait_with_output().unwrap().stdout, b"hello");
    }

    #[test]
    fn it_never_overlaps_the_kernel() {
        let memory = memory::allocate(64 << 20).unwrap();
        assert!(matches!(
            write(&memory, &[0; 8192], (64 << 20) - 4096),
            Err(InitramfsError::NoRoom { init_bytes: 8192 })
        ));
    }
}
