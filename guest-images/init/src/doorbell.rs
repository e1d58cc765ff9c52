use std::ffi::c_void;
use std::ptr::{self, NonNull};

use guest_protocol::{DOORBELL_BYTES, DOORBELL_GPA, Mark};
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat, open};
use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::fatal::Fatal;

/// The page that the host notices stores to.
#[derive(Clone, Copy)]
pub(crate) struct Doorbell(NonNull<u32>);

impl Doorbell {
    /// Maps it by way of `/dev/mem`, which is device 1:1
    /// (`Documentation/admin-guide/devices.txt`). The command has neither the device nor, once
    /// it is executed, the mapping.
    pub(crate) fn map() -> Result<Self, Fatal> {
        let failed = Fatal::when::<rustix::io::Errno>;
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, "/mem", FileType::CharacterDevice, mode, makedev(1, 1))
            .map_err(failed("making /mem"))?;
        // With O_SYNC it is mapped uncached, as a device has to be.
        let flags = OFlags::RDWR | OFlags::SYNC | OFlags::CLOEXEC;
        let mem = open("/mem", flags, Mode::empty()).map_err(failed("opening /mem"))?;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let page = unsafe {
            mmap(
                ptr::null_mut::<c_void>(),
                DOORBELL_BYTES as usize,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &mem,
                DOORBELL_GPA,
            )
        }
        .map_err(failed("mapping the doorbell"))?;
        NonNull::new(page.cast())
            .map(Self)
            .ok_or(rustix::io::Errno::FAULT)
            .map_err(failed("mapping the doorbell"))
    }

    /// Tells the host that this point is reached.
    pub(crate) fn ring(&self, mark: Mark) {
        // SAFETY: `self` can only be made with a pointer to a page, aligned to its size, that is
        // mapped for writing and never unmapped; nothing else refers to it.
        unsafe { self.0.write_volatile(mark as u32) }
    }
}
