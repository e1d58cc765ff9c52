//! A guest that asks by hand: requests go through a queue, as its kernel's would.

use std::path::Path;
use std::sync::Arc;

use nix::unistd::geteuid;
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
use tempfile::TempDir;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::super::wire::*;
use super::super::*;
use crate::devices::virtio::driver::{Driver, Offer, readable, writable};
use crate::memory::GuestMemory;

const MEMORY_BYTES: u64 = 16 << 20;
const RINGS: u64 = 0x1000;
pub(super) const REQUEST: u64 = 0x10_0000;
pub(super) const ANSWER: u64 = 0x40_0000;
pub(super) const ANSWER_BYTES: u32 = 2 << 20;

/// The first share's root, as the first node that the guest is told of.
pub(super) const SHARE: u64 = 2;

pub(super) const LIMITS: Limits = Limits {
    nodes: 100,
    handles: 100,
};

/// An `errno`, or what came.
pub(super) type Answer = Result<Vec<u8>, i32>;

pub(super) struct Guest {
    pub(super) driver: Driver,
    pub(super) urgent: Driver,
    pub(super) fs: Fs,
    /// The user that asks.
    pub(super) owner: (u32, u32),
    next_unique: u64,
}

pub(super) fn share(path: &Path, read_only: bool) -> Share {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Share::new(open(path, flags, Mode::empty()).unwrap(), read_only).unwrap()
}

/// A directory of the host's that a guest shares, and a sentinel beside it that it must not get
/// at.
pub(super) struct Place {
    dir: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("share")).unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        Self { dir }
    }

    pub(super) fn share(&self) -> Arc<Path> {
        self.dir.path().join("share").into()
    }

    pub(super) fn outside(&self) -> Arc<Path> {
        self.dir.path().join("outside").into()
    }

    pub(super) fn assert_untouched(&self) {
        let names: Vec<_> = std::fs::read_dir(self.outside())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        let secret = std::fs::read_to_string(self.outside().join("secret")).unwrap();
        assert_eq!(secret, "secret");
        assert_eq!(std::fs::read_dir(self.dir.path()).unwrap().count(), 2);
    }
}

impl Guest {
    /// One that has mounted the share of `place` and knows its root.
    pub(super) fn of(place: &Place) -> Self {
        Self::with(vec![share(&place.share(), false)], LIMITS)
    }

    pub(super) fn with(shares: Vec<Share>, limits: Limits) -> Self {
        let mut guest = Self::unmounted(shares, limits);
        guest.mount().unwrap();
        let root = guest.look_up(ROOT_NODE, "0").unwrap();
        assert_eq!(root.node, SHARE);
        guest
    }

    pub(super) fn unmounted(shares: Vec<Share>, limits: Limits) -> Self {
        owners::own_thread();
        keep_rights();
        let memory: GuestMemory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let urgent = Driver::new(&memory, RINGS, 16);
        let driver = Driver::new(&memory, RINGS + Driver::RINGS_BYTES, QUEUE_SIZE);
        let mut fs = Fs::new("tag", shares, limits).unwrap();
        fs.activate(
            vec![urgent.device_queue(true), driver.device_queue(true)],
            Interrupt::new(EventFd::new(EFD_NONBLOCK).unwrap()),
        )
        .unwrap();
        Self {
            driver,
            urgent,
            fs,
            owner: (0, 0),
            next_unique: 1,
        }
    }

    /// Offers a chain and returns how many bytes of it were written.
    pub(super) fn exchange(&mut self, chain: &[Offer]) -> u32 {
        let head = self.driver.offer(chain);
        self.fs.serve();
        let used = self.driver.take_used();
        assert_eq!(used.len(), 1);
        assert_eq!(used[0].0, head);
        used[0].1
    }

    /// Writes a request to guest memory; its size.
    pub(super) fn write_request(&mut self, opcode: u32, node: u64, body: &[u8]) -> u32 {
        let bytes = (size_of::<InHeader>() + body.len()) as u32;
        let header = InHeader {
            len: bytes,
            opcode,
            unique: self.next_unique,
            node,
            uid: self.owner.0,
            gid: self.owner.1,
            ..InHeader::default()
        };
        self.driver.write(REQUEST, header.as_bytes());
        self.driver
            .write(REQUEST + size_of::<InHeader>() as u64, body);
        bytes
    }

    pub(super) fn ask(&mut self, opcode: u32, node: u64, body: &[u8]) -> Answer {
        self.ask_with_room(opcode, node, body, ANSWER_BYTES)
    }

    pub(super) fn ask_with_room(
        &mut self,
        opcode: u32,
        node: u64,
        body: &[u8],
        room: u32,
    ) -> Answer {
        let bytes = self.write_request(opcode, node, body);
        let used = self.exchange(&[readable(REQUEST, bytes), writable(ANSWER, room)]);
        let answer = self.driver.read(ANSWER, used as usize);
        let (header, body) = OutHeader::read_from_prefix(&answer).unwrap();
        assert_eq!((header.len, header.unique), (used, self.next_unique));
        self.next_unique += 1;
        match header.error {
            0 => Ok(body.to_vec()),
            error => {
                assert!(body.is_empty() && error < 0, "{error}");
                Err(-error)
            }
        }
    }

    /// The same with a structure and names behind it, each with its NUL byte.
    pub(super) fn ask_named(
        &mut self,
        opcode: u32,
        node: u64,
        body: &(impl IntoBytes + Immutable),
        names: &[&str],
    ) -> Answer {
        let mut bytes = body.as_bytes().to_vec();
        for name in names {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        self.ask(opcode, node, &bytes)
    }

    pub(super) fn mount(&mut self) -> Answer {
        let init = InitIn {
            major: MAJOR,
            minor: 41,
            max_readahead: 1 << 17,
            flags: u32::MAX,
        };
        self.ask(opcode::INIT, 0, init.as_bytes())
    }

    pub(super) fn look_up(&mut self, directory: u64, name: &str) -> Result<EntryOut, i32> {
        self.ask_named(opcode::LOOKUP, directory, &(), &[name])
            .map(read)
    }

    pub(super) fn attributes(&mut self, node: u64) -> Result<Attr, i32> {
        let answer = self.ask(opcode::GETATTR, node, GetAttrIn::default().as_bytes());
        answer.map(read).map(|out: AttrOut| out.attr)
    }

    pub(super) fn create(&mut self, name: &str, mode: u32) -> Result<(EntryOut, u64), i32> {
        let how = CreateIn {
            flags: libc::O_RDWR as u32,
            mode,
            ..CreateIn::default()
        };
        let answer = self.ask_named(opcode::CREATE, SHARE, &how, &[name])?;
        let (entry, opened) = EntryOut::read_from_prefix(&answer).unwrap();
        Ok((entry, read::<OpenOut>(opened.to_vec()).fh))
    }

    pub(super) fn open(&mut self, node: u64, flags: i32) -> Result<OpenOut, i32> {
        let how = OpenIn {
            flags: flags as u32,
            open_flags: 0,
        };
        self.ask(opcode::OPEN, node, how.as_bytes()).map(read)
    }

    pub(super) fn read(&mut self, fh: u64, offset: u64, size: u32) -> Answer {
        let how = ReadIn {
            fh,
            offset,
            size,
            ..ReadIn::default()
        };
        self.ask(opcode::READ, 0, how.as_bytes())
    }

    pub(super) fn write(&mut self, how: WriteIn, data: &[u8]) -> Result<u32, i32> {
        let how = WriteIn {
            size: data.len() as u32,
            ..how
        };
        let body = [how.as_bytes(), data].concat();
        let answer = self.ask(opcode::WRITE, 0, &body)?;
        Ok(read::<WriteOut>(answer).size)
    }

    pub(super) fn forget(&mut self, node: u64, lookups: u64) {
        let bytes = self.write_request(opcode::FORGET, node, ForgetIn { lookups }.as_bytes());
        self.urgent.offer(&[readable(REQUEST, bytes)]);
        self.fs.serve();
        assert_eq!(self.urgent.take_used().len(), 1);
    }
}

/// What an answer is, all of it.
pub(super) fn read<T: FromBytes>(bytes: Vec<u8>) -> T {
    T::read_from_bytes(&bytes).map_err(|_| bytes.len()).unwrap()
}

/// As the jail has it for a monitor of root's.
fn keep_rights() {
    if geteuid().is_root() {
        set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP).unwrap();
    }
}
