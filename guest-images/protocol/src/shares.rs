use std::path::PathBuf;

/// The tag by which a guest mounts the device with the host's files.
pub const SHARES_TAG: &str = "jaula";

/// Where PID 1 mounts it. The command never sees this directory, but what is bound from it.
pub const SHARES: &str = "/shares";

/// Where a guest has the share of this number: what the source of such a mount is in a
/// [`Task`](crate::Task).
pub fn share_path(number: usize) -> PathBuf {
    PathBuf::from(format!("{SHARES}/{number}"))
}
