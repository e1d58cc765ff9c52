//! What copies of one machine must not share: the state of the random number generator, the
//! time at which the machine was saved, and its addresses.

use std::os::fd::OwnedFd;

use guest_protocol::{Entropy, Incarnation};
use rustix::fs::{CWD, FileType, Mode, OFlags, Timespec, makedev, mknodat, open};
use rustix::io::Errno;
use rustix::ioctl::{NoArg, Setter, ioctl, opcode};
use rustix::time::{ClockId, clock_settime};

use crate::fatal::Fatal;
use crate::network;

/// Bytes that the kernel takes at once; what the host sends.
const POOL_BYTES: usize = size_of::<Entropy>();

/// `struct rand_pool_info` of `include/uapi/linux/random.h`.
#[repr(C)]
struct PoolInfo {
    entropy_bits: i32,
    buffer_bytes: i32,
    buffer: [u8; POOL_BYTES],
}

/// `RNDADDENTROPY`: mixes bytes in, and counts them as random. The size in its number is not that
/// of what it takes.
const ADD_ENTROPY: u32 = opcode::write::<[i32; 2]>(b'R', 0x03);

/// `RNDRESEEDCRNG`: has the generator take all that was mixed in for its next number.
const RESEED: u32 = opcode::none(b'R', 0x07);

/// What it takes to become a machine of its own.
pub(crate) struct Identity {
    random: OwnedFd,
}

impl Identity {
    /// Opens the random number generator, device 1:8
    /// (`Documentation/admin-guide/devices.txt`).
    pub(crate) fn open() -> Result<Self, Fatal> {
        let failed = Fatal::when::<Errno>;
        let mode = Mode::RUSR | Mode::WUSR;
        let file_type = FileType::CharacterDevice;
        mknodat(CWD, "/random", file_type, mode, makedev(1, 8))
            .map_err(failed("making /random"))?;
        let random = open("/random", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("opening /random"))?;
        Ok(Self { random })
    }

    /// Takes random numbers, the time and the addresses from the host.
    pub(crate) fn assume(&self, incarnation: &Incarnation) -> Result<(), Fatal> {
        // The first, as time goes on meanwhile.
        clock_settime(ClockId::Realtime, timespec(incarnation.wall_clock_ns))
            .map_err(Fatal::when("setting the clock"))?;
        self.reseed(&incarnation.entropy)
            .map_err(Fatal::when("seeding the random numbers"))?;
        match &incarnation.interface {
            Some(interface) => network::connect(interface),
            None => Ok(()),
        }
    }

    fn reseed(&self, entropy: &Entropy) -> Result<(), Errno> {
        let mut info = PoolInfo {
            entropy_bits: POOL_BYTES as i32 * 8,
            buffer_bytes: POOL_BYTES as i32,
            buffer: [0; POOL_BYTES],
        };
        info.buffer.copy_from_slice(entropy.bytes());
        // SAFETY: RNDADDENTROPY reads a rand_pool_info and as many bytes behind it as that says,
        // which `PoolInfo` has.
        unsafe { ioctl(&self.random, Setter::<ADD_ENTROPY, PoolInfo>::new(info))? };
        // SAFETY: RNDRESEEDCRNG takes nothing.
        unsafe { ioctl(&self.random, NoArg::<RESEED>::new()) }
    }
}

fn timespec(since_1970_ns: u64) -> Timespec {
    const NS_PER_S: u64 = 1_000_000_000;
    Timespec {
        tv_sec: (since_1970_ns / NS_PER_S) as i64,
        tv_nsec: (since_1970_ns % NS_PER_S) as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_have_the_numbers_of_the_kernels_header() {
        assert_eq!(ADD_ENTROPY, 0x4008_5203);
        assert_eq!(RESEED, 0x5207);
        assert_eq!(size_of::<PoolInfo>(), 8 + 64);
    }

    #[test]
    fn a_moment_is_split_into_seconds_and_the_rest() {
        let moment = timespec(1_700_000_000_123_456_789);
        assert_eq!(
            (moment.tv_sec, moment.tv_nsec),
            (1_700_000_000, 123_456_789)
        );
    }
}
