//! What a hostile driver makes of what a proper one would do.

use arbitrary::{Result, Unstructured};
use virtio_bindings::virtio_ring::VRING_DESC_F_INDIRECT;

use super::guest::{BUFFERS, Buffer, Descriptor, Guest, MEMORY_BYTES, Rings};
use crate::fields::{number, number32, seldom};

/// An address: in the rings, among the buffers, around the end of memory, or any.
pub(super) fn address(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=7u8)? {
        0..=2 => u.int_in_range(BUFFERS..=MEMORY_BYTES - 1)?,
        3 | 4 => u.int_in_range(0..=BUFFERS)?,
        5 => MEMORY_BYTES - 8 + u.int_in_range(0..=16)?,
        _ => number(u, MEMORY_BYTES)?,
    })
}

/// One with this alignment.
fn aligned(u: &mut Unstructured<'_>, to: u64) -> Result<u64> {
    Ok(address(u)? & !(to - 1))
}

/// Where a driver puts queue `queue` of at most `max_size`.
pub(super) fn rings(u: &mut Unstructured<'_>, queue: u16, max_size: u16) -> Result<Rings> {
    let mut rings = Rings::of(queue, max_size);
    if seldom(u, 4)? {
        rings.size = match seldom(u, 4)? {
            true => u.arbitrary()?,
            false => 1 << u.int_in_range(0..=8)?,
        };
    }
    if seldom(u, 16)? {
        rings.descriptors = aligned(u, 16)?;
    }
    if seldom(u, 16)? {
        rings.available = aligned(u, 2)?;
    }
    if seldom(u, 16)? {
        rings.used = aligned(u, 4)?;
    }
    if seldom(u, 64)? {
        rings.used = address(u)?;
    }
    Ok(rings)
}

/// Spoils the buffers of a proper request.
pub(super) fn spoil_buffers(u: &mut Unstructured<'_>, buffers: &mut Vec<Buffer>) -> Result<()> {
    let Some(last) = buffers.len().checked_sub(1) else {
        return Ok(());
    };
    let index = u.int_in_range(0..=last)?;
    match u.int_in_range(0..=7u8)? {
        0 => buffers[index].address = address(u)?,
        1 => buffers[index].bytes = number32(u, 4096)?,
        2 => buffers[index].writable ^= true,
        3 => {
            buffers.remove(index);
        }
        4 => {
            let twice = buffers[index];
            buffers.insert(index, twice);
        }
        5 => buffers.swap(0, index),
        // Cuts it in two.
        _ => {
            let whole = buffers[index];
            let first = u.int_in_range(0..=whole.bytes)?;
            buffers[index].bytes = first;
            let rest = Buffer {
                address: whole.address.wrapping_add(first.into()),
                bytes: whole.bytes - first,
                ..whole
            };
            buffers.insert(index + 1, rest);
        }
    }
    Ok(())
}

/// Spoils the descriptors of a chain.
pub(super) fn spoil_chain(u: &mut Unstructured<'_>, chain: &mut [Descriptor]) -> Result<()> {
    let Some(last) = chain.len().checked_sub(1) else {
        return Ok(());
    };
    let descriptor = &mut chain[u.int_in_range(0..=last)?];
    match u.int_in_range(0..=3u8)? {
        0 => descriptor.flags = u.arbitrary()?,
        1 => descriptor.flags ^= 1 << u.int_in_range(0..=3)?,
        2 => descriptor.next = u.arbitrary()?,
        // A circle, more often than not.
        _ => descriptor.next = u.int_in_range(0..=8)?,
    }
    Ok(())
}

/// Moves a chain to a table of its own, which a single descriptor points at. That is not among
/// the features of a device here, which does not keep a driver from it.
pub(super) fn indirect(guest: &mut Guest, chain: &[Descriptor]) -> Vec<Descriptor> {
    let bytes = chain.len() as u32 * 16;
    let table = guest.room(bytes).address;
    for (index, descriptor) in chain.iter().enumerate() {
        guest.store(table, index as u16, *descriptor);
    }
    vec![Descriptor {
        address: table,
        bytes,
        flags: VRING_DESC_F_INDIRECT as u16,
        next: 0,
    }]
}

/// Any descriptors.
pub(super) fn chain(u: &mut Unstructured<'_>) -> Result<Vec<Descriptor>> {
    (0..u.int_in_range(1..=6)?)
        .map(|_| {
            Ok(Descriptor {
                address: address(u)?,
                bytes: number32(u, 600)?,
                flags: match seldom(u, 8)? {
                    true => u.arbitrary()?,
                    false => u.int_in_range(0..=3)?,
                },
                next: match seldom(u, 8)? {
                    true => u.arbitrary()?,
                    false => u.int_in_range(0..=8)?,
                },
            })
        })
        .collect()
}
