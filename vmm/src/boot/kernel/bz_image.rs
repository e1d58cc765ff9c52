//! The header of a bzImage (`Documentation/arch/x86/boot.rst` in Linux).

use std::fs::File;

use super::{KernelError, read_exactly};

/// As far as the last field that is read here.
const HEADER_END: usize = 0x264;
/// "HdrS".
const MAGIC: u32 = 0x5372_6448;
/// The first version of the protocol that has `xloadflags`.
const VERSION_WITH_64_BIT: u16 = 0x20c;
/// `XLF_KERNEL_64`: there is a 64-bit entry point at 0x200.
const KERNEL_64: u16 = 1;
const SECTOR_BYTES: u64 = 512;
/// "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
const DEFAULT_SETUP_SECTORS: u8 = 4;

/// What a bzImage says of itself, checked against the file's size.
#[derive(Debug)]
pub(super) struct SetupHeader {
    /// Where the kernel wants to run.
    pub preferred_address: u64,
    /// How much memory from there on it needs before it knows its memory.
    pub init_bytes: u32,
}

impl SetupHeader {
    pub fn parse(file: &File) -> Result<Self, KernelError> {
        let mut bytes = [0; HEADER_END];
        read_exactly(file, &mut bytes, 0).map_err(|error| match error {
            // Shorter than any kernel.
            KernelError::Truncated(_) => KernelError::NotAKernel,
            error => error,
        })?;
        if u32_at(&bytes, 0x202) != MAGIC {
            return Err(KernelError::NotAKernel);
        }
        let [version, xloadflags] = [0x206, 0x236].map(|at| u32_at(&bytes, at) as u16);
        if version < VERSION_WITH_64_BIT || xloadflags & KERNEL_64 == 0 {
            return Err(KernelError::No64BitEntry);
        }
        let setup_sectors = match bytes[0x1f1] {
            0 => DEFAULT_SETUP_SECTORS,
            sectors => sectors,
        };
        let kernel_bytes = u64::from(u32_at(&bytes, 0x1f4)) * 16;
        let announced = (u64::from(setup_sectors) + 1) * SECTOR_BYTES + kernel_bytes;
        let actual = file.metadata()?.len();
        if actual < announced {
            return Err(KernelError::Truncated(actual));
        }
        Ok(Self {
            preferred_address: u64::from(u32_at(&bytes, 0x258))
                | u64::from(u32_at(&bytes, 0x25c)) << 32,
            init_bytes: u32_at(&bytes, 0x260),
        })
    }
}

/// The little-endian number at an offset that is a constant above.
fn u32_at(bytes: &[u8; HEADER_END], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
