//! Kernel images: what they are, and how they come into guest memory.
//!
//! An image is hostile: nothing is believed of it before it was checked against the file and
//! the guest's memory, and no amount of memory is allocated because an image says so.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use linux_loader::loader::bootparam::setup_header;
use linux_loader::loader::{BzImage as BzImageLoader, KernelLoader};
use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::MAPPED_BYTES;
use super::place::Backing;
use crate::layout;
use crate::memory::GuestMemory;

mod bz_image;
mod elf;

/// Why a file can't be booted.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// It can't be read.
    #[error("it can't be read")]
    Read(#[from] io::Error),
    /// Neither format's magic number is where it should be.
    #[error("it is no kernel: neither an ELF image (vmlinux) nor a bzImage")]
    NotAKernel,
    /// It ends before what its headers announce.
    #[error("it is cut off: its headers announce more than its {0} bytes")]
    Truncated(u64),
    /// An ELF image, but not for this.
    #[error("it is an ELF file, but no 64-bit x86 executable")]
    WrongElf,
    /// An ELF image whose headers contradict themselves.
    #[error("its ELF headers make no sense: {0}")]
    BadElf(&'static str),
    /// A bzImage from before the 64-bit boot protocol, or of a 32-bit kernel.
    #[error("it is a bzImage without a 64-bit entry point; Linux 3.8 or later is needed")]
    No64BitEntry,
    /// It does not fit.
    #[error("it takes addresses {start:#x} to {end:#x}, which this guest's memory does not hold")]
    DoesNotFit {
        /// Where it wants to be.
        start: u64,
        /// Where it would end.
        end: u64,
    },
    /// The loader would not load it after all.
    #[error("it can't be loaded")]
    Load(#[from] linux_loader::loader::Error),
}

/// Where a kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// In 64-bit mode, with a zero page.
    Long(u64),
    /// In 32-bit mode, with PVH's start info.
    Pvh(u32),
}

/// A kernel that is in guest memory.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// Where it is entered.
    pub entry: Entry,
    /// The first address behind all that it needs before it knows its memory.
    pub end: u64,
    /// A bzImage's own part of the zero page.
    pub setup_header: Option<setup_header>,
}

/// A kernel image that was looked at and found to be one.
#[derive(Debug)]
pub struct Kernel {
    file: File,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Elf(elf::Image),
    BzImage(bz_image::SetupHeader),
}

impl Kernel {
    /// Reads and checks the headers of an image.
    ///
    /// # Errors
    ///
    /// When it is no kernel for this machine, or cut off.
    pub fn parse(file: File) -> Result<Self, KernelError> {
        let format = match elf::Image::parse(&file) {
            Ok(image) => Format::Elf(image),
            Err(KernelError::NotAKernel) => Format::BzImage(bz_image::SetupHeader::parse(&file)?),
            Err(error) => return Err(error),
        };
        Ok(Self { file, format })
    }

    /// Brings the kernel into guest memory.
    ///
    /// # Errors
    ///
    /// When it does not fit there, or can't be read.
    pub fn load(&self, memory: &GuestMemory, backing: Backing) -> Result<Loaded, KernelError> {
        match &self.format {
            Format::Elf(image) => image.load(&self.file, memory, backing),
            Format::BzImage(header) => self.load_bz_image(header, memory),
        }
    }

    fn load_bz_image(
        &self,
        header: &bz_image::SetupHeader,
        memory: &GuestMemory,
    ) -> Result<Loaded, KernelError> {
        // Where it would move itself to in any case.
        let start = header.preferred_address.max(layout::HIGH_MEMORY);
        let end = start.saturating_add(header.init_bytes.into());
        check_room(memory, start, end)?;
        let mut file = &self.file;
        let loaded = BzImageLoader::load(memory, Some(GuestAddress(start)), &mut file, None)?;
        Ok(Loaded {
            // `startup_64`, Documentation/arch/x86/boot.rst, "64-bit boot protocol".
            entry: Entry::Long(start + 0x200),
            end: end.max(loaded.kernel_end),
            setup_header: loaded.setup_header,
        })
    }
}

/// Whether memory from `start` to `end` exists, lies above the boot data, and is covered by the
/// boot page tables.
fn check_room(memory: &GuestMemory, start: u64, end: u64) -> Result<(), KernelError> {
    let room = start >= layout::HIGH_MEMORY
        && start < end
        && end <= MAPPED_BYTES
        && memory.check_range(GuestAddress(start), (end - start) as usize);
    if room {
        Ok(())
    } else {
        Err(KernelError::DoesNotFit { start, end })
    }
}

/// Fills `bytes` from the file, which must be that long.
fn read_exactly(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), KernelError> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(KernelError::Truncated(file.metadata()?.len()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
