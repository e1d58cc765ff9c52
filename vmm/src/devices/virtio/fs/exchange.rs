//! A request's way from its chain to the server, and the answer's way back.

use rustix::io::Errno;
use zerocopy::IntoBytes;

use super::owners::Owner;
use super::request::{self, Request};
use super::server::{Asked, Done, Server};
use super::wire::{InHeader, OutHeader};
use crate::devices::virtio::{Buffers, Chain, ChainError, Readable, TooShort};

const HEADER_BYTES: u32 = size_of::<OutHeader>() as u32;

/// A chain that can't be answered.
#[derive(Debug, thiserror::Error)]
enum Unanswerable {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("a request has no room for its header, or that of its answer")]
    NoHeader(#[from] TooShort),
}

/// Answers the request in `chain`; how many bytes of the chain were written. `bytes` is what the
/// request is read into; what was in it before means nothing.
pub(super) fn answer(chain: Chain<'_>, server: &mut Server, bytes: &mut Vec<u8>) -> u32 {
    try_answer(chain, server, bytes).unwrap_or_else(|error| {
        tracing::debug!("shares: {error}");
        0
    })
}

fn try_answer(
    chain: Chain<'_>,
    server: &mut Server,
    bytes: &mut Vec<u8>,
) -> Result<u32, Unanswerable> {
    let Buffers { readable, writable } = chain.buffers()?;
    let mut header = InHeader::default();
    readable.copy_to(header.as_mut_bytes())?;
    let (_, body) = readable.split_at(size_of::<InHeader>() as u32)?;
    tracing::trace!("shares: request {} of node {}", header.opcode, header.node);

    if request::is_unanswered(header.opcode) {
        read_body(body, header.opcode, bytes)?;
        if let Ok(request) = Request::parse(header.opcode, bytes) {
            // Nobody waits for what came of it.
            let _ = server.serve(Asked {
                request,
                node: header.node,
                owner: owner(&header),
                data: Default::default(),
                room: Default::default(),
            });
        }
        return Ok(0);
    }

    let (head, room) = writable.split_at(HEADER_BYTES)?;
    let data = read_body(body, header.opcode, bytes)?;
    let done = Request::parse(header.opcode, bytes).and_then(|request| {
        server.serve(Asked {
            request,
            node: header.node,
            owner: owner(&header),
            data,
            room: room.clone(),
        })
    });
    let done = done.and_then(|done| match done {
        Done::Written(length) => Ok(length),
        Done::Answer => {
            let answer = server.answer();
            room.copy_from(answer).map_err(|_| Errno::INVAL)?;
            // It had room in a chain, which has at most 4 GiB.
            Ok(answer.len() as u32)
        }
    });
    let (length, error) = match done {
        Ok(length) => (length, 0),
        Err(errno) => {
            tracing::trace!("shares: request {} failed: {errno}", header.opcode);
            (0, -errno.raw_os_error())
        }
    };
    let out = OutHeader {
        len: HEADER_BYTES + length,
        error,
        unique: header.unique,
    };
    head.copy_from(out.as_bytes())?;
    Ok(out.len)
}

/// Reads what follows the header, as much as a request has; the rest is data.
fn read_body<'m>(
    body: Readable<'m>,
    opcode: u32,
    bytes: &mut Vec<u8>,
) -> Result<Readable<'m>, TooShort> {
    let wanted = request::bytes_to_read(opcode).min(body.bytes() as usize);
    // At most `MAX_REQUEST_BYTES`.
    let (body, data) = body.split_at(wanted as u32)?;
    bytes.clear();
    body.append_to(bytes);
    Ok(data)
}

fn owner(header: &InHeader) -> Owner {
    Owner {
        uid: header.uid,
        gid: header.gid,
    }
}
