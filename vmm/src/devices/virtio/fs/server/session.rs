use rustix::fs::{fstatvfs, syncfs};
use rustix::io::Errno;
use zerocopy::FromBytes;

use super::{Done, Server};
use crate::devices::virtio::fs::MAX_PAGES;
use crate::devices::virtio::fs::wire::{
    ForgetOne, InitIn, InitOut, MAJOR, MINOR, OLDEST_MINOR, ROOT_NODE, StatfsOut, feature,
};

/// Bytes of a page of a guest's.
const PAGE_BYTES: u32 = 4096;

/// What we can do of what a guest may offer.
///
/// Not among it: that writes are kept, so that the host sees them at once. Nor locks: they hold within the guest, where its kernel keeps them.
const FEATURES: u32 = feature::ASYNC_READ
    | feature::ATOMIC_O_TRUNC
    | feature::BIG_WRITES
    | feature::DONT_MASK
    | feature::AUTO_INVAL_DATA
    | feature::PARALLEL_DIROPS
    | feature::MAX_PAGES
    | feature::HANDLE_KILLPRIV_V2;

impl Server {
    /// Settles on a version and what both can do.
    pub(super) fn initialize(&mut self, init: InitIn) -> Result<Done, Errno> {
        if self.is_empty() {
            return Err(Errno::NODEV);
        }
        if init.major != MAJOR || init.minor < OLDEST_MINOR {
            return Err(Errno::PROTO);
        }
        // A mount that is made anew knows of nothing.
        self.reset();
        self.is_initialized = true;
        self.say(&InitOut {
            major: MAJOR,
            minor: MINOR,
            max_readahead: init.max_readahead,
            flags: init.flags & FEATURES,
            // The guest's defaults.
            max_background: 0,
            congestion_threshold: 0,
            max_write: u32::from(MAX_PAGES) * PAGE_BYTES,
            time_gran_ns: 1,
            max_pages: MAX_PAGES,
            ..InitOut::default()
        });
        Ok(Done::Answer)
    }

    pub(super) fn forget_all(&mut self, all: &[u8]) -> Result<Done, Errno> {
        let mut rest = all;
        while let Ok((ForgetOne { node, lookups }, others)) = ForgetOne::read_from_prefix(rest) {
            self.nodes.forget(node, lookups);
            rest = others;
        }
        Ok(Done::Answer)
    }

    /// How full the file system is that a node is on.
    pub(super) fn file_system(&mut self, node: u64) -> Result<Done, Errno> {
        let found = match node {
            ROOT_NODE => {
                let first = self.shares.first().ok_or(Errno::NODEV)?;
                fstatvfs(first.root())?
            }
            node => fstatvfs(self.nodes.get(node)?.file())?,
        };
        self.say(&StatfsOut {
            blocks: found.f_blocks,
            bfree: found.f_bfree,
            bavail: found.f_bavail,
            files: found.f_files,
            ffree: found.f_ffree,
            // None has blocks or names of 4 GiB.
            bsize: found.f_bsize as u32,
            namelen: found.f_namemax as u32,
            frsize: found.f_frsize as u32,
            ..StatfsOut::default()
        });
        Ok(Done::Answer)
    }

    /// Has the host write down what was written to it, as sync(2) does.
    pub(super) fn sync_all(&mut self) -> Result<Done, Errno> {
        let descriptors = self.descriptors()?;
        for share in self.shares.iter().filter(|share| !share.is_read_only()) {
            let root = share.open_again(descriptors)?;
            syncfs(root)?;
        }
        Ok(Done::Answer)
    }
}
