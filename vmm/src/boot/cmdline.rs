//! The kernel's command line.

use std::ffi::CString;

use linux_loader::cmdline::Cmdline;
use vm_memory::GuestAddress;

use crate::layout;
use crate::ring0::Ring0;

/// `COMMAND_LINE_SIZE`, `arch/x86/include/asm/setup.h`: what is longer is cut off.
const CAPACITY_BYTES: usize = 2048;

/// For every host.
const ALWAYS: &[(&str, &str)] = &[
    // A panic reboots at once, and a reboot is a write to port 0x64, which ends the machine.
    ("panic", "-1"),
    ("reboot", "k"),
    // There is no other source at boot, and the host's processor is trusted with all else.
    ("random.trust_cpu", "on"),
    // Free memory goes back to the host in blocks of 128 KiB and more. Without this they have
    // 4 MiB, and a machine with less than 32 such blocks free reports none
    // (`page_reporting_process_zone` in mm/page_reporting.c).
    ("page_reporting.page_reporting_order", "5"),
    // The last words of a guest come through the debugging port, which needs no driver.
    ("earlyprintk", EARLYPRINTK),
];

/// Must agree with [`layout::SERIAL_PORT`].
const EARLYPRINTK: &str = "serial,0x3f8,115200,keep";

/// For hosts that emulate ring 0, whose every instruction there counts.
const EMULATED: &[&str] = &[
    // Our kernel's own parameter: leave alone the instructions that the emulator lacks, and take
    // a system call's page fault for the system call.
    "ring0_emulated",
    "mitigations=off",
    "rodata=off",
    "highres=off",
    // A kernel for several processors on one: to take off the lock prefixes takes longer than to
    // boot with them.
    "noreplace-smp",
    // Where the time-stamp counter is the host's own, whatever it is set to, a clock that counts
    // it jumps when a machine goes on from a snapshot. KVM's clock does not.
    "clocksource=kvm-clock",
];

/// The command line can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the kernel's command line can't be made")]
pub struct CommandLineError(#[from] linux_loader::cmdline::Error);

/// A command line in the making: kernel parameters only, nothing for init.
pub struct CommandLine(Cmdline);

impl CommandLine {
    /// What a guest on this kind of host needs. A guest is quiet unless it is to be `verbose`:
    /// each byte that it says costs an exit to the monitor.
    ///
    /// # Errors
    ///
    /// Never, unless the parameters have outgrown the command line.
    pub fn new(ring0: Ring0, verbose: bool) -> Result<Self, CommandLineError> {
        let mut line = Cmdline::new(CAPACITY_BYTES)?;
        // Before `earlyprintk`, which would print the log so far.
        let volume: &[&str] = if verbose {
            &["loglevel=8"]
        } else {
            &["quiet", "loglevel=1"]
        };
        for parameter in volume {
            line.insert_str(parameter)?;
        }
        for (key, value) in ALWAYS {
            line.insert(key, value)?;
        }
        if matches!(ring0, Ring0::Emulated { .. }) {
            for parameter in EMULATED {
                line.insert_str(parameter)?;
            }
        }
        Ok(Self(line))
    }

    /// Announces a virtio-mmio device.
    ///
    /// # Errors
    ///
    /// When there are too many for a command line.
    pub fn virtio_device(&mut self, base: u64, gsi: u32) -> Result<(), CommandLineError> {
        Ok(self
            .0
            .add_virtio_mmio_device(layout::VIRTIO_BYTES, GuestAddress(base), gsi, None)?)
    }

    /// The finished line.
    ///
    /// # Errors
    ///
    /// Never: what was inserted was checked.
    pub fn finish(&self) -> Result<CString, CommandLineError> {
        Ok(self.0.as_cstring()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARDWARE: Ring0 = Ring0::Hardware {
        instructions_per_second: 2_000_000_000,
    };
    const EMULATED: Ring0 = Ring0::Emulated {
        instructions_per_second: 1_300_000,
    };

    fn line(ring0: Ring0, verbose: bool) -> Vec<String> {
        let mut line = CommandLine::new(ring0, verbose).unwrap();
        line.virtio_device(layout::VIRTIO, 10).unwrap();
        let text = line.finish().unwrap().into_string().unwrap();
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_device_is_announced_as_the_kernel_reads_it() {
        assert!(line(HARDWARE, false).contains(&"virtio_mmio.device=4K@0xd0001000:10".to_owned()));
    }

    #[test]
    fn only_a_host_that_emulates_ring_0_gets_what_such_a_host_needs() {
        let parameter = "ring0_emulated".to_owned();
        assert!(line(EMULATED, false).contains(&parameter));
        assert!(!line(HARDWARE, false).contains(&parameter));
    }

    #[test]
    fn a_guest_is_quiet_unless_it_is_to_be_verbose() {
        let quiet = "quiet".to_owned();
        assert!(line(HARDWARE, false).contains(&quiet));
        assert!(!line(HARDWARE, true).contains(&quiet));
    }

    #[test]
    fn nothing_is_handed_to_init() {
        assert!(!line(EMULATED, false).contains(&"--".to_owned()));
    }

    #[test]
    fn the_debugging_port_is_the_one_that_exists() {
        assert!(EARLYPRINTK.contains(&format!("{:#x}", layout::SERIAL_PORT)));
    }
}
