//! The kernel's command line.

use std::ffi::CString;
use std::str::FromStr;

use guest_protocol::OVER_TCP;
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
];

/// The last words of a guest come through the debugging port, which needs no driver. Must agree with
/// [`layout::SERIAL_PORT`].
const EARLYPRINTK: &str = "serial,0x3f8,115200";
/// For a kernel that has no other console and would let go of this one.
const KEEP: &str = ",keep";
/// For one that may have a driver for it.
const CONSOLE: &str = "ttyS0";

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

/// What a guest's kernel says on its serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Only why it gives up: each byte costs an exit to the monitor.
    Quiet,
    /// All that it does.
    Verbose,
    /// What its system wants to be heard: it is its console.
    Console,
}

/// Parameters of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelParameters(String);

/// Not what a kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParameters {
    /// Nothing.
    #[error("there is nothing in it")]
    Empty,
    /// A character that means nothing there.
    #[error("it has a character that is not printable ASCII")]
    Character,
}

impl FromStr for KernelParameters {
    type Err = InvalidParameters;

    fn from_str(given: &str) -> Result<Self, InvalidParameters> {
        let trimmed = given.trim_matches(' ');
        if trimmed.is_empty() {
            return Err(InvalidParameters::Empty);
        }
        match trimmed.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            true => Ok(Self(trimmed.to_owned())),
            false => Err(InvalidParameters::Character),
        }
    }
}

/// A command line in the making: kernel parameters, and behind them what the user wants to be there.
pub struct CommandLine(Cmdline);

impl CommandLine {
    /// What a guest on this kind of host needs.
    ///
    /// # Errors
    ///
    /// Never, unless the parameters have outgrown the command line.
    pub fn new(ring0: Ring0, voice: Voice) -> Result<Self, CommandLineError> {
        let mut line = Cmdline::new(CAPACITY_BYTES)?;
        // Before `earlyprintk`, which would print the log so far.
        let volume: &[&str] = match voice {
            Voice::Quiet => &["quiet", "loglevel=1"],
            Voice::Verbose => &["loglevel=8"],
            Voice::Console => &[],
        };
        for parameter in volume {
            line.insert_str(parameter)?;
        }
        for (key, value) in ALWAYS {
            line.insert(key, value)?;
        }
        match voice {
            Voice::Quiet | Voice::Verbose => {
                line.insert("earlyprintk", &format!("{EARLYPRINTK}{KEEP}"))?;
            }
            Voice::Console => {
                line.insert("earlyprintk", EARLYPRINTK)?;
                line.insert("console", CONSOLE)?;
            }
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

    /// Has PID 1 connect by TCP: it is a guest of another monitor.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    pub fn over_tcp(&mut self) -> Result<(), CommandLineError> {
        Ok(self.0.insert_str(OVER_TCP)?)
    }

    /// Adds what the user wants, which may contradict what stands before it.
    ///
    /// # Errors
    ///
    /// When there is no room for all of it.
    pub fn append(&mut self, parameters: &KernelParameters) -> Result<(), CommandLineError> {
        Ok(self.0.insert_str(&parameters.0)?)
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

    fn line(ring0: Ring0, voice: Voice) -> Vec<String> {
        let mut line = CommandLine::new(ring0, voice).unwrap();
        line.virtio_device(layout::VIRTIO, 10).unwrap();
        let text = line.finish().unwrap().into_string().unwrap();
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_device_is_announced_as_the_kernel_reads_it() {
        assert!(
            line(HARDWARE, Voice::Quiet)
                .contains(&"virtio_mmio.device=4K@0xd0001000:10".to_owned())
        );
    }

    #[test]
    fn only_a_host_that_emulates_ring_0_gets_what_such_a_host_needs() {
        let parameter = "ring0_emulated".to_owned();
        assert!(line(EMULATED, Voice::Quiet).contains(&parameter));
        assert!(!line(HARDWARE, Voice::Quiet).contains(&parameter));
    }

    #[test]
    fn a_guest_is_quiet_unless_it_is_to_be_verbose() {
        let quiet = "quiet".to_owned();
        assert!(line(HARDWARE, Voice::Quiet).contains(&quiet));
        assert!(!line(HARDWARE, Voice::Verbose).contains(&quiet));
    }

    #[test]
    fn nothing_is_handed_to_init() {
        assert!(!line(EMULATED, Voice::Quiet).contains(&"--".to_owned()));
    }

    #[test]
    fn what_the_user_wants_stands_last() {
        let mut line = CommandLine::new(EMULATED, Voice::Console).unwrap();
        line.virtio_device(layout::VIRTIO, 10).unwrap();
        line.append(&" root=/dev/vda -- single ".parse().unwrap())
            .unwrap();
        let text = line.finish().unwrap().into_string().unwrap();
        assert!(text.ends_with(":10 root=/dev/vda -- single"), "{text}");
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for (given, expected) in [
            ("", InvalidParameters::Empty),
            ("  ", InvalidParameters::Empty),
            ("a\nb", InvalidParameters::Character),
            ("a\0", InvalidParameters::Character),
            ("\u{f1}", InvalidParameters::Character),
        ] {
            assert_eq!(
                given.parse::<KernelParameters>(),
                Err(expected),
                "{given:?}"
            );
        }
    }

    #[test]
    fn more_than_a_kernel_reads_is_refused() {
        let mut line = CommandLine::new(HARDWARE, Voice::Quiet).unwrap();
        let long = "x".repeat(CAPACITY_BYTES - 100);
        assert!(line.append(&long.parse().unwrap()).is_err());
    }

    #[test]
    fn a_system_of_its_own_is_heard_on_its_console() {
        let said = line(HARDWARE, Voice::Console);
        assert!(said.contains(&"console=ttyS0".to_owned()));
        assert!(!said.contains(&"quiet".to_owned()));
    }

    #[test]
    fn the_debugging_port_is_the_one_that_exists() {
        assert!(EARLYPRINTK.contains(&format!("{:#x}", layout::SERIAL_PORT)));
    }
}
