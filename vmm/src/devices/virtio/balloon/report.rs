use crate::devices::virtio::Chain;

/// Gives the host back what a report says is free.
///
/// The driver takes whatever it finds there when it uses the memory again (virtio 1.2, section
/// 5.5.6.7; without `VIRTIO_BALLOON_F_PAGE_POISON`, it treats it as uninitialized): zeros, or what
/// the file holds that the memory was mapped from, which this same guest has seen before. A guest
/// that reports what it still uses harms itself.
pub(super) fn take(chain: Chain<'_>) {
    let ranges = match chain.buffers() {
        Ok(buffers) => buffers.writable,
        Err(error) => return tracing::debug!("balloon: {error}"),
    };
    match ranges.discard() {
        Ok(()) => tracing::trace!("balloon: {} bytes are free", ranges.bytes()),
        Err(error) => tracing::debug!("balloon: free memory is kept: {error}"),
    }
}
