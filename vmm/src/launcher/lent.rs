use std::fs::File;
use std::io;
use std::path::PathBuf;

use guest_images::{disk_of, initramfs};
use guest_protocol::{Start, Task};
use launch::{Progress, Workload};

use super::error::Error;
use super::prepared::task;
use super::{VmLauncher, network, size};
use crate::boot::cmdline::{CommandLine, CommandLineError, Voice};
use crate::monitor::{entropy, incarnation_now};
use crate::ring0::Ring0;

/// The unit of a virtio disk's size, in bytes.
const SECTOR_BYTES: u64 = 512;

/// A guest of ours for another monitor: the same kernel, PID 1, image and size as one that we boot
/// ourselves for this workload. Its PID 1 connects by TCP, and says nothing with the doorbell.
#[derive(Clone, Debug)]
pub struct LentGuest {
    /// The kernel.
    pub kernel: PathBuf,
    /// The archive with PID 1.
    pub initrd: PathBuf,
    /// The image, for its first disk, which is read-only.
    pub disk: PathBuf,
    /// The kernel's command line, on which its devices are missing.
    pub command_line: String,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// How many processors it has.
    pub vcpus: u8,
    /// Who executes its kernel's instructions here.
    pub ring0: Ring0,
    task: Task,
}

impl LentGuest {
    /// What its PID 1 is to be told first, now.
    ///
    /// # Errors
    ///
    /// When there are no random numbers, or the disk can't be looked at.
    pub fn start(&self) -> io::Result<Start> {
        Ok(Start {
            task: self.task.clone(),
            incarnation: incarnation_now(entropy()?, None),
            disk_sectors: File::open(&self.disk)?.metadata()?.len() / SECTOR_BYTES,
        })
    }
}

impl VmLauncher {
    /// What another monitor boots for a workload that has neither a network nor files or devices of the
    /// host's, nor a terminal.
    ///
    /// # Errors
    ///
    /// When what it boots is not there and can't be made, or no machine has such limits.
    pub fn lend(
        &self,
        workload: &Workload,
        progress: &dyn Progress,
    ) -> Result<LentGuest, launch::Error> {
        let asked = size(&workload.resources)?;
        let blueprint = self.blueprint(&workload.resources, asked.disks, progress)?;
        let files = network::files(None, workload)?;
        Ok(LentGuest {
            initrd: initramfs(&self.cache, progress)?,
            disk: disk_of(&workload.root, &self.cache, progress)?,
            command_line: self
                .lent_command_line(blueprint.ring0)
                .map_err(Error::from)?,
            memory_bytes: asked.memory.bytes(),
            vcpus: asked.vcpus.get(),
            ring0: blueprint.ring0,
            task: task(workload, &[], files),
            kernel: blueprint.kernel,
        })
    }

    fn lent_command_line(&self, ring0: Ring0) -> Result<String, CommandLineError> {
        let mut line = CommandLine::new(ring0, Voice::Quiet)?;
        line.over_tcp()?;
        if let Some(parameters) = &self.boot.parameters {
            line.append(parameters)?;
        }
        Ok(line.finish()?.to_string_lossy().into_owned())
    }
}
