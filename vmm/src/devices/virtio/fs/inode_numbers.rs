/// Gives files of several file systems of the host numbers in the one that the guest sees:
/// programs such as cp(1) take two files with one number for the same.
///
/// The host's number stays in the low bits, so a file's number is the same in each run; a file
/// system's place in the high ones. Only a file system with numbers of more than 48 bits could
/// give one twice.
#[derive(Debug, Default)]
pub(super) struct InodeNumbers {
    devices: Vec<(u32, u32)>,
}

/// Bits that are left to the host's number.
const HOST_BITS: u32 = 48;

impl InodeNumbers {
    pub(super) fn shown(&mut self, device: (u32, u32), inode: u64) -> u64 {
        let known = self.devices.iter().position(|known| *known == device);
        let place = known.unwrap_or_else(|| {
            self.devices.push(device);
            self.devices.len() - 1
        });
        inode ^ (place as u64) << HOST_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_two_file_systems_never_share_a_number() {
        let mut numbers = InodeNumbers::default();
        let first = numbers.shown((8, 1), 7);
        assert_eq!(first, 7);
        assert_ne!(numbers.shown((8, 2), 7), first);
        assert_eq!(numbers.shown((8, 1), 7), first);
    }
}
