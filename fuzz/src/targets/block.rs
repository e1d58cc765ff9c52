//! A disk, in a file in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use rustix::fs::{MemfdFlags, memfd_create};
use vmm::devices::virtio::block::{Access, Block, Id};

use crate::fields::{bytes, number, number32, seldom};
use crate::virtio::{self, Buffer, Guest, Subject};

/// Not a whole number of sectors.
const IMAGE_BYTES: usize = 40 * 512 + 100;
const SECTORS: u64 = 41;

struct Disk {
    image: &'static File,
    access: Access,
}

/// What a disk holds that nobody has written to.
static CONTENT: [u8; IMAGE_BYTES] = content();

const fn content() -> [u8; IMAGE_BYTES] {
    let mut content = [0; IMAGE_BYTES];
    let mut i = 0;
    while i < IMAGE_BYTES {
        content[i] = (i * 7 + i / 512) as u8;
        i += 1;
    }
    content
}

fn is_as_new(image: &File) -> bool {
    let mut found = [0; IMAGE_BYTES];
    image.read_exact_at(&mut found, 0).expect("to be read");
    found == CONTENT
}

/// The image for such access, as it was in the beginning.
fn image(access: Access) -> &'static File {
    static READ_ONLY: OnceLock<File> = OnceLock::new();
    static READ_WRITE: OnceLock<File> = OnceLock::new();
    let image = match access {
        Access::ReadOnly => &READ_ONLY,
        Access::ReadWrite => &READ_WRITE,
    };
    let image = image.get_or_init(|| {
        let file = File::from(memfd_create("disk", MemfdFlags::CLOEXEC).expect("a file"));
        file.set_len(IMAGE_BYTES as u64).expect("to be enlarged");
        file
    });
    if !is_as_new(image) {
        image.write_all_at(&CONTENT, 0).expect("to be written");
    }
    image
}

impl Subject for Disk {
    type Device = Block;

    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let access = match u.arbitrary()? {
            true => Access::ReadOnly,
            false => Access::ReadWrite,
        };
        Ok(Self {
            image: image(access),
            access,
        })
    }

    fn device(&mut self) -> Block {
        let file = self.image.try_clone().expect("a descriptor");
        Block::new(file, self.access, Id::default()).expect("a device")
    }

    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)> {
        // Read, write, flush, serial number, discard, write zeros.
        let kind = match seldom(u, 16)? {
            true => u.arbitrary()?,
            false => *u.choose(&[0u32, 1, 4, 8, 11, 13])?,
        };
        let sector = number(u, SECTORS + 2)?;
        let mut header = [0; 16];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        let mut buffers = vec![guest.holding(&header)];
        match kind {
            0 | 8 => {
                let sectors = u.int_in_range(0..=4)?;
                let odd = match seldom(u, 4)? {
                    true => number32(u, 32)?,
                    false => 0,
                };
                buffers.push(guest.room((sectors * 512u32).wrapping_add(odd)));
            }
            11 | 13 => {
                let ranges = (0..u.int_in_range(0..=17)?)
                    .map(|_| {
                        let mut range = number(u, SECTORS + 2)?.to_le_bytes().to_vec();
                        range.extend(number32(u, SECTORS as u32)?.to_le_bytes());
                        range.extend(number32(u, 2)?.to_le_bytes());
                        Ok(range)
                    })
                    .collect::<Result<Vec<_>>>()?;
                buffers.push(guest.holding(&ranges.concat()));
            }
            _ => {
                let mut data = bytes(u, 64)?.to_vec();
                data.resize(512 * u.int_in_range(0..=4usize)?, 0xa5);
                buffers.push(guest.holding(&data));
            }
        }
        buffers.push(guest.room(1));
        Ok((0, buffers))
    }

    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        let header = guest.holding(&[0; 16]);
        (0, vec![header, guest.room(512), guest.room(1)])
    }

    fn check(&mut self) {
        let bytes = self.image.metadata().expect("metadata").len();
        assert_eq!(bytes, IMAGE_BYTES as u64, "the disk has another size");
        assert!(
            self.access == Access::ReadWrite || is_as_new(self.image),
            "a read-only disk was written to"
        );
    }
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    virtio::run::<Disk>(input);
}

/// The same, and what guest memory holds after it.
pub fn memory_after(input: &[u8]) -> Vec<u8> {
    virtio::memory_after::<Disk>(input)
}
