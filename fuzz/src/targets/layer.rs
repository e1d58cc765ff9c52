//! The unpacking of an image's layer, in memory, with files beside it that no layer may touch.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::rc::Rc;

use arbitrary::{Result, Unstructured};
use flate2::Compression;
use flate2::write::GzEncoder;
use guest_images::store::{BlobDigest, Intake, LayerBlob, Limits, Store};
use launch::NoProgress;
use tar::{EntryType, Header};

use super::canary::Cage;
use crate::allocation;
use crate::fields::{MAX_STEPS, bytes, name, number, number32, seldom};

/// An input of some hundred bytes is unpacked with a buffer or two.
const MAX_ALLOCATED_BYTES: usize = 4 << 20;

/// Few, so that an input gets there.
const LIMITS: Limits = Limits {
    bytes: 256 << 10,
    entries: 24,
};

const NAMES: [&[u8]; 22] = [
    b"a",
    b"b",
    b"d/",
    b"d/x",
    b"d/y/z",
    b"l",
    b"l/x",
    b"./a",
    b"/a",
    b".",
    b"..",
    b"../a",
    b"d/../../a",
    b"",
    b".wh.a",
    b"d/.wh.x",
    b".wh..wh..opq",
    b".wh.",
    b"d/.wh...",
    b"../../../../../outside/secret",
    b"../../../../outside/secret",
    b"l/secret",
];

const TARGETS: [&[u8]; 8] = [
    b"a",
    b"d",
    b"l",
    b"..",
    b"/",
    b"../../../../outside",
    b"../../../../../outside",
    b"../../../../../outside/secret",
];

const KINDS: [u8; 14] = *b"00001122345gxL";

const RECORDS: [&[u8]; 12] = [
    b"path",
    b"linkpath",
    b"size",
    b"uid",
    b"gid",
    b"mtime",
    b"SCHILY.xattr.user.a",
    b"SCHILY.xattr.trusted.overlay.opaque",
    b"GNU.sparse.major",
    b"GNU.sparse.map",
    b"GNU.sparse.size",
    b"GNU.sparse.name",
];

/// Feeds it one input.
pub fn run(input: &[u8]) {
    thread_local! {
        static CAGE: RefCell<Option<Rc<Cage>>> = const { RefCell::new(None) };
    }
    let cage =
        CAGE.with_borrow_mut(|cage| cage.get_or_insert_with(|| Rc::new(Cage::new())).clone());
    let mut u = Unstructured::new(input);
    let Ok(content) = content(&mut u) else { return };
    let store = Store::new(cage.inside().join("store"));
    // Any but the right one: what was unpacked is refused at its end, and goes.
    let blob = LayerBlob {
        digest: None,
        size: content.len() as u64,
        diff_id: BlobDigest::of(b"none"),
    };
    let added = allocation::limited(MAX_ALLOCATED_BYTES, || {
        let intake = Intake::new(LIMITS, &NoProgress);
        store
            .add_layer(&blob, &mut content.as_slice(), &intake)
            .err()
    });
    assert!(added.is_some(), "a layer with another digest was added");
    let left = fs::read_dir(cage.inside().join("store/layers")).expect("a directory");
    assert_eq!(left.count(), 0, "something is left of a layer");
    cage.assert_untouched();
}

/// A layer as it comes: an archive, as it is or compressed, and once compressed it may be spoiled.
fn content(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let packing = u.int_in_range(0..=15u8)?;
    if packing < 12 {
        return archive(u);
    }
    let spoiled = match u.arbitrary()? {
        true => Some((u.arbitrary::<u16>()?, u.arbitrary::<u8>()?)),
        false => None,
    };
    let mut packed = pack(&archive(u)?, packing).expect("memory to write to");
    if let Some((at, byte)) = spoiled {
        let at = usize::from(at) % packed.len();
        match byte {
            0 => packed.truncate(at),
            _ => packed[at] ^= byte,
        }
    }
    Ok(packed)
}

fn pack(archive: &[u8], packing: u8) -> io::Result<Vec<u8>> {
    if packing < 14 {
        return zstd::bulk::compress(archive, 1);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(archive)?;
    encoder.finish()
}

/// An archive such as a layer is.
pub(super) fn archive(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for _ in 0..MAX_STEPS {
        if u.is_empty() {
            break;
        }
        append_entry(u, &mut archive)?;
    }
    if !seldom(u, 8)? {
        archive.resize(archive.len() + 1024, 0);
    }
    if seldom(u, 8)? && !archive.is_empty() {
        let at = u.int_in_range(0..=archive.len() - 1)?;
        archive.truncate(at);
    }
    Ok(archive)
}

fn append_entry(u: &mut Unstructured<'_>, archive: &mut Vec<u8>) -> Result<()> {
    let kind = match seldom(u, 16)? {
        true => u.arbitrary()?,
        false => *u.choose(&KINDS)?,
    };
    let content = match kind {
        b'g' | b'x' => records(u)?,
        b'L' | b'K' => name(u, &NAMES)?.to_vec(),
        _ => bytes(u, 40)?.to_vec(),
    };
    let mut header = Header::new_ustar();
    let raw = header.as_old_mut();
    copy(&mut raw.name, name(u, &NAMES)?);
    copy(&mut raw.linkname, name(u, &TARGETS)?);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(number32(u, 0o10000)?);
    header.set_uid(number(u, 3)?);
    header.set_gid(number(u, 3)?);
    header.set_mtime(number(u, 1 << 32)?);
    header.set_size(match seldom(u, 8)? {
        true => number(u, 4096)?,
        false => content.len() as u64,
    });
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(u.int_in_range(0..=2)?);
        ustar.set_device_minor(u.int_in_range(0..=2)?);
    }
    if seldom(u, 8)? {
        let spoiled = header.as_mut_bytes();
        let at = u.int_in_range(0..=spoiled.len() - 1)?;
        spoiled[at] = u.arbitrary()?;
    }
    if !seldom(u, 32)? {
        header.set_cksum();
    }
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(&content);
    archive.resize(archive.len().next_multiple_of(512), 0);
    Ok(())
}

fn copy(field: &mut [u8], name: &[u8]) {
    let length = field.len().min(name.len());
    field[..length].copy_from_slice(&name[..length]);
}

/// What stands in a pax header: each record behind its length, which counts itself.
fn records(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let key = name(u, &RECORDS)?;
        let value = match u.int_in_range(0..=2u8)? {
            0 => name(u, &NAMES)?.to_vec(),
            1 => number(u, 4096)?.to_string().into_bytes(),
            _ => bytes(u, 16)?.to_vec(),
        };
        let bytes = key.len() + value.len() + 3;
        // Its digits count, too.
        let length = (1..=5).map(|digits| bytes + digits);
        let mut length = length
            .into_iter()
            .find(|n| n.to_string().len() + bytes == *n)
            .unwrap_or(0) as u64;
        if seldom(u, 8)? {
            length = number(u, 64)?;
        }
        all.extend_from_slice(length.to_string().as_bytes());
        all.push(b' ');
        all.extend_from_slice(key);
        all.push(b'=');
        all.extend_from_slice(&value);
        all.push(b'\n');
    }
    Ok(all)
}
