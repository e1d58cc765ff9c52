//! The archive of one file, `/init`, uncompressed: cpio's "newc"
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` in Linux).

const MAGIC: &str = "070701";
/// A regular file that all may execute.
const INIT_MODE: u32 = 0o100_755;
/// Each part of an archive is padded to this.
const ALIGN: usize = 4;

pub struct Archive {
    pub bytes: Vec<u8>,
    /// Where the contents of `/init` begin in it.
    pub init_start: usize,
}

pub fn of_init(init: &[u8]) -> Archive {
    let mut bytes = header(1, "init", INIT_MODE, init.len());
    let init_start = bytes.len();
    bytes.extend(init);
    pad(&mut bytes);
    bytes.extend(header(0, "TRAILER!!!", 0, 0));
    Archive { bytes, init_start }
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
    pad(&mut header);
    header
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
}
