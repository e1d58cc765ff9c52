//! From a driver's notification to its answer.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use criterion::{Criterion, Throughput};
use vmm::devices::virtio::block::{Access, Block, Id};
use vmm::devices::virtio::fs::{Fs, Limits, Share};
use vmm::devices::virtio::rng::Rng;

use crate::guest::{BUFFERS, Guest};

const HEADER: u64 = BUFFERS;
const STATUS: u64 = BUFFERS + 0x1000;
const DATA: u64 = BUFFERS + 0x2000;

const DISK_BYTES: usize = 4 << 20;
const SECTOR_BYTES: u64 = 512;
/// What Linux asks for at once of a file that is read from end to end: `VM_READAHEAD_PAGES`,
/// `include/linux/mm.h`.
const READ_AHEAD_BYTES: u64 = 128 << 10;

pub fn all(criterion: &mut Criterion) {
    queue(criterion);
    block(criterion);
    files(criterion);
}

/// Hardly more than the queue itself: 16 bytes from the kernel.
fn queue(criterion: &mut Criterion) {
    let mut guest = Guest::new(Rng::new().expect("a device")).expect("a guest");
    criterion.bench_function("queue: one chain there and back (rng, 16 B)", |bencher| {
        bencher.iter(|| assert_eq!(guest.request(0, &[(DATA, 16, true)]), 16));
    });
}

/// What the device does of a guest's request; and the host's own read of the same, which is the least it
/// can take.
fn block(criterion: &mut Criterion) {
    let mut file = tempfile::tempfile_in("/dev/shm").expect("a file in memory");
    file.write_all(&vec![0x5a; DISK_BYTES]).expect("room");
    let of_host = file.try_clone().expect("a descriptor");
    let device = Block::new(file, Access::ReadWrite, Id::default()).expect("a device");
    let mut guest = Guest::new(device).expect("a guest");
    let mut group = criterion.benchmark_group("block");
    for (name, kind, bytes) in [
        ("read", 0u32, 4 << 10),
        ("read", 0, 64 << 10),
        ("read", 0, READ_AHEAD_BYTES),
        ("write", 1, 4 << 10),
    ] {
        group.throughput(Throughput::Bytes(bytes));
        let mut sector = 0;
        group.bench_function(format!("{name} {} KiB", bytes >> 10), |bencher| {
            bencher.iter(|| {
                sector = (sector + bytes / SECTOR_BYTES) % (DISK_BYTES as u64 / SECTOR_BYTES);
                let mut header = [0; 16];
                header[..4].copy_from_slice(&kind.to_le_bytes());
                header[8..].copy_from_slice(&sector.to_le_bytes());
                guest.write(HEADER, &header);
                let data = (DATA, bytes as u32, kind == 0);
                guest.request(0, &[(HEADER, 16, false), data, (STATUS, 1, true)])
            });
        });
    }
    for bytes in [64 << 10, READ_AHEAD_BYTES] {
        group.throughput(Throughput::Bytes(bytes));
        let mut data = vec![0; bytes as usize];
        let mut offset = 0;
        group.bench_function(format!("host's read {} KiB", bytes >> 10), |bencher| {
            bencher.iter(|| {
                offset = (offset + bytes) % DISK_BYTES as u64;
                of_host.read_exact_at(&mut data, offset).expect("all of it");
            });
        });
    }
    group.finish();
}

// `include/uapi/linux/fuse.h`.
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const ROOT: u64 = 1;
/// The queue for all that is not urgent.
const REQUESTS: usize = 1;
const IN_HEADER_BYTES: usize = 40;
const OUT_HEADER_BYTES: u32 = 16;
const FILE_BYTES: u32 = 64 << 10;

fn files(criterion: &mut Criterion) {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    fs::write(dir.path().join("file"), vec![0x5a; FILE_BYTES as usize]).expect("room");
    let share = Share::new(File::open(dir.path()).expect("it").into(), false).expect("a share");
    let device = Fs::new("shares", vec![share], Limits::of_process()).expect("a device");
    let mut guest = Guest::new(device).expect("a guest");
    let mut ask = |opcode: u32, node: u64, body: &[u8], answer: u32| {
        let mut request = Vec::with_capacity(IN_HEADER_BYTES + body.len());
        request.extend(((IN_HEADER_BYTES + body.len()) as u32).to_le_bytes());
        request.extend(opcode.to_le_bytes());
        request.extend(1u64.to_le_bytes());
        request.extend(node.to_le_bytes());
        // As root of the host, by process 1.
        request.extend([0; 16]);
        request.extend(body);
        guest.write(HEADER, &request);
        let buffers = [
            (HEADER, request.len() as u32, false),
            (DATA, OUT_HEADER_BYTES + answer, true),
        ];
        let written = guest.request(REQUESTS, &buffers);
        assert!(written >= OUT_HEADER_BYTES, "{opcode}: {written}");
        guest.bytes(DATA, written as usize)
    };
    let mut init = [0; 16];
    init[..4].copy_from_slice(&7u32.to_le_bytes());
    init[4..8].copy_from_slice(&31u32.to_le_bytes());
    ask(INIT, 0, &init, 64);
    let node_of = |answer: Vec<u8>| number(&answer, OUT_HEADER_BYTES as usize);
    // Shares are named by their numbers, below a root that is none.
    let share = node_of(ask(LOOKUP, ROOT, b"0\0", 128));
    let file = node_of(ask(LOOKUP, share, b"file\0", 128));
    let handle = node_of(ask(OPEN, file, &[0; 8], 16));
    let mut group = criterion.benchmark_group("virtio-fs");
    group.bench_function("lookup", |bencher| {
        bencher.iter(|| ask(LOOKUP, share, b"file\0", 128))
    });
    group.bench_function("getattr", |bencher| {
        bencher.iter(|| ask(GETATTR, file, &[0; 16], 104))
    });
    for bytes in [4u32 << 10, FILE_BYTES] {
        let mut read = [0; 40];
        read[..8].copy_from_slice(&handle.to_le_bytes());
        read[16..20].copy_from_slice(&bytes.to_le_bytes());
        group.throughput(Throughput::Bytes(bytes.into()));
        group.bench_function(format!("read {} KiB", bytes >> 10), |bencher| {
            bencher.iter(|| {
                let answer = ask(READ, file, &read, bytes);
                assert_eq!(answer.len() as u32, OUT_HEADER_BYTES + bytes);
            });
        });
    }
    group.finish();
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).and_then(|it| it.try_into().ok());
    u64::from_le_bytes(bytes.expect("an answer without an error"))
}
