//! What the command finds in its file system.

use clap::Args;

use crate::notation::{DeviceArg, MountArg, MountRequest, TmpfsArg, VolumeArg};

/// What is mounted in the root.
#[derive(Debug, Args)]
#[command(next_help_heading = "File systems")]
pub struct FileArgs {
    /// Show DST what is at SRC: a path of the host, made as a directory if it is missing, or the
    /// name of a volume, which is made when it is first used. Without SRC, a volume for this run
    #[arg(short, long, value_name = "[SRC:]DST[:ro]")]
    pub volume: Vec<VolumeArg>,

    /// The same in docker's long notation: type=bind|volume|tmpfs,src=SRC,dst=DST,readonly; the
    /// path of a bind must be there
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub mount: Vec<MountArg>,

    /// A file system in memory, as in /run:size=64m,mode=755,exec
    #[arg(long, value_name = "DST[:OPTIONS]")]
    pub tmpfs: Vec<TmpfsArg>,

    /// Let the command use a device of the host, as in /dev/fuse
    #[arg(long, value_name = "SRC[:DST][:rwm]")]
    pub device: Vec<DeviceArg>,

    /// Let the command write nothing to its root file system; otherwise what it writes is gone
    /// when it ends
    #[arg(long)]
    pub read_only: bool,
}

impl FileArgs {
    /// All that is to be mounted.
    pub fn mounts(&self) -> impl Iterator<Item = &MountRequest> {
        let volumes = self.volume.iter().map(|VolumeArg(request)| request);
        let mounts = self.mount.iter().map(|MountArg(request)| request);
        let tmpfs = self.tmpfs.iter().map(|TmpfsArg(request)| request);
        volumes.chain(mounts).chain(tmpfs)
    }
}
