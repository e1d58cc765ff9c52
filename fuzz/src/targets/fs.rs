//! Files of the host's that a guest shares, of which some are read-only; in memory, with others
//! beside them that no guest may touch.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use arbitrary::{Result, Unstructured};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
use vmm::devices::virtio::fs::{Fs, Limits, Share};

use super::canary::{Cage, remove};
use crate::fields::{bytes, name, number, number32, seldom};
use crate::virtio::{self, Buffer, Guest, Subject};

/// The queue for what is not to wait, and the one for all else.
const URGENT: u16 = 0;
const REQUESTS: u16 = 1;

/// Of a file, in bytes: what is made larger than that costs time and finds nothing.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// So few that a guest gets there.
const MAX_DESCRIPTORS: u64 = 320;

const ROOT_NODE: u64 = 1;
/// The roots of the two shares, in the order in which they are looked up.
const WRITABLE: u64 = 2;
const READ_ONLY: u64 = 3;

const LOOKUP: u32 = 1;
const WRITE: u32 = 16;
const INIT: u32 = 26;
const FORGET: u32 = 2;
const BATCH_FORGET: u32 = 42;
const INTERRUPT: u32 = 36;

/// A part of a request.
#[derive(Clone, Copy)]
enum Part {
    /// The number of something open.
    Handle,
    /// The number of a file.
    Node,
    /// An offset, a length, a time.
    Long,
    /// A size, a count.
    Size,
    /// Flags, a umask, padding.
    Flags,
    /// How a file is opened.
    Open,
    /// The kind of a file, and its permissions.
    Mode,
    /// A user or a group.
    Id,
    /// The name of a file.
    Name,
    /// The name of an extended attribute.
    Attribute,
    /// Whatever follows.
    Data,
}

use Part::*;

/// Number and parts of each request (`include/uapi/linux/fuse.h`).
const KINDS: [(u32, &[Part]); 38] = [
    (LOOKUP, &[Name]),
    (FORGET, &[Long]),
    // GETATTR, SETATTR, READLINK, SYMLINK
    (3, &[Flags, Flags, Handle]),
    (
        4,
        &[
            Flags, Flags, Handle, Long, Long, Long, Long, Long, Size, Size, Size, Mode, Flags, Id,
            Id, Flags,
        ],
    ),
    (5, &[]),
    (6, &[Name, Name]),
    // MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK
    (8, &[Mode, Flags, Flags, Flags, Name]),
    (9, &[Mode, Flags, Name]),
    (10, &[Name]),
    (11, &[Name]),
    (12, &[Node, Name, Name]),
    (13, &[Node, Name]),
    // OPEN, READ, WRITE, STATFS, RELEASE, FSYNC
    (14, &[Open, Flags]),
    (15, &[Handle, Long, Size, Flags, Long, Flags, Flags]),
    (WRITE, &[Handle, Long, Size, Flags, Long, Open, Flags, Data]),
    (17, &[]),
    (18, &[Handle, Flags, Flags, Long]),
    (20, &[Handle, Flags, Flags]),
    // SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, FLUSH
    (21, &[Size, Flags, Attribute, Data]),
    (22, &[Size, Flags, Attribute]),
    (23, &[Size, Flags]),
    (24, &[Attribute]),
    (25, &[Handle, Flags, Flags, Long]),
    // INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR
    (INIT, &[Size, Size, Size, Flags]),
    (27, &[Open, Flags]),
    (28, &[Handle, Long, Size, Flags, Long, Flags, Flags]),
    (29, &[Handle, Flags, Flags, Long]),
    (30, &[Handle, Flags, Flags]),
    // CREATE, INTERRUPT, DESTROY, BATCH_FORGET, FALLOCATE
    (35, &[Open, Mode, Flags, Flags, Name]),
    (INTERRUPT, &[Long]),
    (38, &[]),
    (BATCH_FORGET, &[Size, Flags, Node, Long, Node, Long]),
    (43, &[Handle, Long, Long, Flags, Flags]),
    // RENAME2, LSEEK, COPY_FILE_RANGE, SYNCFS, TMPFILE
    (45, &[Node, Flags, Flags, Name, Name]),
    (46, &[Handle, Long, Size, Flags]),
    (47, &[Handle, Long, Node, Handle, Long, Long, Long]),
    (50, &[Long]),
    (51, &[Open, Mode, Flags, Flags]),
];

const NAMES: [&[u8]; 16] = [
    b"0",
    b"1",
    b"file",
    b"d",
    b"x",
    b"link",
    b"pipe",
    b"new",
    b"newer",
    b".",
    b"..",
    b"",
    b"/",
    b"d/x",
    b"../outside/secret",
    b"../../outside/secret",
];

const ATTRIBUTES: [&[u8]; 6] = [
    b"user.a",
    b"user.b",
    b"trusted.overlay.opaque",
    b"security.capability",
    b"system.posix_acl_access",
    b"",
];

/// What is shared, over and over.
struct Place {
    cage: Cage,
    writable: PathBuf,
    read_only: PathBuf,
    /// How many of the host's files a guest may hold.
    limits: Limits,
    /// When the read-only share was last changed.
    before: Vec<(i64, i64)>,
}

impl Place {
    fn new() -> Self {
        prepare_process();
        let cage = Cage::new();
        let writable = cage.inside().join("writable");
        let read_only = cage.inside().join("read-only");
        let mut place = Self {
            cage,
            writable,
            read_only,
            limits: Limits::of_process(),
            before: Vec::new(),
        };
        fill(&place.read_only).expect("to be filled");
        place.before = place.changes();
        place
    }

    fn begin_anew(&self) {
        remove(&self.writable)
            .and_then(|()| fill(&self.writable))
            .expect("to be filled");
    }

    fn changes(&self) -> Vec<(i64, i64)> {
        ["", "file", "d", "d/x", "link", "pipe"]
            .into_iter()
            .map(|name| {
                let found = fs::symlink_metadata(self.read_only.join(name)).expect("to be there");
                (found.ctime(), found.ctime_nsec())
            })
            .collect()
    }

    fn assert_untouched(&self) {
        self.cage.assert_untouched();
        assert_eq!(
            self.changes(),
            self.before,
            "the read-only share was changed"
        );
    }
}

/// Makes the process one that a guest can't have do much.
fn prepare_process() {
    // SAFETY: to ignore a signal takes no handler.
    let ignored = unsafe {
        nix::sys::signal::signal(
            nix::sys::signal::Signal::SIGXFSZ,
            nix::sys::signal::SigHandler::SigIgn,
        )
    };
    ignored.expect("to be ignored");
    for (resource, most) in [
        (Resource::Fsize, MAX_FILE_BYTES),
        (Resource::Nofile, MAX_DESCRIPTORS),
    ] {
        let before = getrlimit(resource).maximum;
        let most = Some(before.map_or(most, |before| before.min(most)));
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        setrlimit(resource, limit).expect("to be limited");
    }
    if rustix::process::geteuid().is_root() {
        // As the jail has it.
        set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)
            .expect("to keep its rights");
    }
}

fn fill(dir: &Path) -> io::Result<()> {
    fs::create_dir(dir)?;
    fs::write(dir.join("file"), "content")?;
    fs::create_dir(dir.join("d"))?;
    fs::write(dir.join("d/x"), "x")?;
    symlink("../../outside", dir.join("link"))?;
    mknodat(CWD, dir.join("pipe"), FileType::Fifo, Mode::RUSR, 0)?;
    Ok(())
}

struct Shares {
    place: Rc<Place>,
    unique: u64,
}

impl Shares {
    /// A request in guest memory, with room for its answer.
    fn ask(&mut self, guest: &mut Guest, opcode: u32, node: u64, body: &[u8]) -> Vec<Buffer> {
        self.unique += 1;
        let header = [
            &(40 + body.len() as u32).to_le_bytes()[..],
            &opcode.to_le_bytes(),
            &self.unique.to_le_bytes(),
            &node.to_le_bytes(),
            // User, group, process, padding.
            &[0; 16],
        ];
        let request = [&header.concat(), body].concat();
        let request = guest.holding(&request);
        match opcode {
            FORGET | BATCH_FORGET | INTERRUPT => vec![request],
            _ => vec![request, guest.room(4096)],
        }
    }

    fn mount(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        let [major, minor, readahead, flags] = [7u32, 41, 1 << 17, u32::MAX].map(u32::to_le_bytes);
        let body = [major, minor, readahead, flags].concat();
        (REQUESTS, self.ask(guest, INIT, 0, &body))
    }
}

fn body(u: &mut Unstructured<'_>, parts: &[Part]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for part in parts {
        match part {
            Handle => body.extend(number(u, 6)?.to_le_bytes()),
            Node => body.extend(number(u, 12)?.to_le_bytes()),
            Long => body.extend(number(u, 5000)?.to_le_bytes()),
            Size => body.extend(number32(u, 64)?.to_le_bytes()),
            Flags => body.extend(number32(u, 8)?.to_le_bytes()),
            Id => body.extend(number32(u, 3)?.to_le_bytes()),
            Open => {
                // Read, write, both; create, exclusively, truncate, append.
                let access = u.int_in_range(0..=3u32)?;
                let more = *u.choose(&[0, 0, 0, 0o100, 0o200, 0o1000, 0o2000])?;
                let any = match seldom(u, 8)? {
                    true => u.arbitrary()?,
                    false => 0,
                };
                body.extend((access | more | any).to_le_bytes());
            }
            Mode => {
                let kind =
                    *u.choose(&[0u32, 0o100_000, 0o040_000, 0o010_000, 0o140_000, 0o020_000])?;
                let mode = u.int_in_range(0..=0o7777u32)?;
                body.extend((kind | mode).to_le_bytes());
            }
            Name => {
                body.extend_from_slice(name(u, &NAMES)?);
                body.push(0);
            }
            Attribute => {
                body.extend_from_slice(name(u, &ATTRIBUTES)?);
                body.push(0);
            }
            Data => {
                let mut data = bytes(u, 64)?.to_vec();
                if seldom(u, 8)? {
                    data.resize(u.int_in_range(0..=70_000)?, 0x66);
                }
                body.extend(data);
            }
        }
    }
    Ok(body)
}

impl Subject for Shares {
    type Device = Fs;

    fn new(_: &mut Unstructured<'_>) -> Result<Self> {
        thread_local! {
            static PLACE: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
        }
        let place = PLACE
            .with_borrow_mut(|place| place.get_or_insert_with(|| Rc::new(Place::new())).clone());
        place.begin_anew();
        Ok(Self { place, unique: 0 })
    }

    fn device(&mut self) -> Fs {
        let share = |path, read_only| Share::open(path, read_only).expect("a share");
        let shares = vec![
            share(&self.place.writable, false),
            share(&self.place.read_only, true),
        ];
        Fs::new("shares", shares, self.place.limits).expect("a device")
    }

    fn first_requests(&mut self, guest: &mut Guest) -> Vec<(u16, Vec<Buffer>)> {
        let mut requests = vec![self.mount(guest)];
        for (node, name) in [
            // These become `WRITABLE` and `READ_ONLY`, and then the next numbers.
            (ROOT_NODE, "0\0"),
            (ROOT_NODE, "1\0"),
            (WRITABLE, "file\0"),
            (WRITABLE, "d\0"),
            (WRITABLE, "link\0"),
            (WRITABLE, "pipe\0"),
            (READ_ONLY, "file\0"),
            (READ_ONLY, "d\0"),
        ] {
            let request = self.ask(guest, LOOKUP, node, name.as_bytes());
            requests.push((REQUESTS, request));
        }
        requests
    }

    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)> {
        let (opcode, parts) = *u.choose(&KINDS)?;
        let node = number(u, 12)?;
        let mut body = body(u, parts)?;
        if opcode == INIT && !seldom(u, 4)? {
            return Ok(self.mount(guest));
        }
        if opcode == WRITE && !seldom(u, 4)? {
            // As much as there is.
            let data = body.len().saturating_sub(40) as u32;
            body[16..20].copy_from_slice(&data.to_le_bytes());
        }
        let opcode = match seldom(u, 32)? {
            true => u.arbitrary()?,
            false => opcode,
        };
        let mut buffers = self.ask(guest, opcode, node, &body);
        if let [_, answer] = &mut buffers[..]
            && seldom(u, 8)?
        {
            answer.bytes = number32(u, 300)?;
        }
        let queue = match opcode {
            FORGET | BATCH_FORGET => URGENT,
            _ => REQUESTS,
        };
        Ok((queue, buffers))
    }

    fn host_step(&mut self, _: &mut Fs, u: &mut Unstructured<'_>) -> Result<()> {
        // Somebody else has the files, too. It fails if the guest was faster.
        let at = |name: &str| self.place.writable.join(name);
        let _ = match u.int_in_range(0..=5u8)? {
            0 => fs::remove_file(at("file")),
            1 => fs::rename(at("d"), at("new")),
            2 => symlink("../../outside/secret", at("newer")),
            3 => fs::remove_file(at("file")).and_then(|()| symlink("../../outside", at("file"))),
            4 => fs::remove_dir_all(at("d")).and_then(|()| symlink("../../outside", at("d"))),
            _ => write_new(&at("new")),
        };
        Ok(())
    }

    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        self.mount(guest)
    }

    fn check(&mut self) {
        self.place.assert_untouched();
    }
}

/// Writes a file, and waits for nobody at a FIFO that the guest has put in its place, nor writes where
/// its link leads.
fn write_new(path: &Path) -> io::Result<()> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = open(path, flags | OFlags::CLOEXEC, Mode::from(0o644))?;
    File::from(file).write_all(b"new")
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    virtio::run::<Shares>(input);
}
