//! The few netlink messages that tables as a whole need, of `include/uapi/linux/netlink.h`,
//! `netfilter/nfnetlink.h` and `netfilter/nf_tables.h`.

use nix::errno::Errno;
use nix::libc;

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFTA_TABLE_NAME: u16 = 1;

/// Bytes of a `struct nlmsghdr`.
const HEADER: usize = 16;

/// Asks for a table; the kernel answers with it and then acknowledges, or with an error.
pub(super) fn get_table(name: &str) -> Vec<u8> {
    table_message(NFT_MSG_GETTABLE, name)
}

/// Deletes a table. What changes tables is a transaction, even if it is one change.
pub(super) fn delete_table(name: &str) -> Vec<u8> {
    let subsystem = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    let bracket = |kind| message(kind, NLM_F_REQUEST, libc::AF_UNSPEC as u8, subsystem, &[]);
    [
        bracket(NFNL_MSG_BATCH_BEGIN),
        table_message(NFT_MSG_DELTABLE, name),
        bracket(NFNL_MSG_BATCH_END),
    ]
    .concat()
}

fn table_message(kind: u16, name: &str) -> Vec<u8> {
    // A `struct nlattr`, and the name with its NUL byte.
    let length = 4 + name.len() + 1;
    let mut attribute = Vec::new();
    // The kernel refuses names of more than 256 bytes.
    attribute.extend((length as u16).to_ne_bytes());
    attribute.extend(NFTA_TABLE_NAME.to_ne_bytes());
    attribute.extend(name.as_bytes());
    attribute.resize(length.next_multiple_of(4), 0);
    message(
        NFNL_SUBSYS_NFTABLES << 8 | kind,
        NLM_F_REQUEST | NLM_F_ACK,
        libc::AF_INET as u8,
        [0; 2],
        &attribute,
    )
}

/// A `struct nlmsghdr`, a `struct nfgenmsg`, and what follows.
fn message(kind: u16, flags: u16, family: u8, resource: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let length = HEADER + 4 + rest.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // The sequence number and the port, of which one request on a socket of its own needs none.
    bytes.extend([0; 8]);
    // Version 0 of the protocol.
    bytes.extend([family, 0]);
    bytes.extend(resource);
    bytes.extend(rest);
    bytes
}

/// What the kernel said to the request; `None` if it is not in this datagram.
pub(super) fn read_answer(mut datagram: &[u8]) -> Option<Result<(), Errno>> {
    loop {
        let length = u32::from_ne_bytes(*datagram.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
        if kind == NLMSG_ERROR {
            let error = i32::from_ne_bytes(*datagram.get(HEADER..)?.first_chunk()?);
            return Some(match error {
                0 => Ok(()),
                error => Err(Errno::from_raw(error.saturating_abs())),
            });
        }
        datagram = datagram.get(length.max(HEADER).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acknowledgement(error: i32) -> Vec<u8> {
        let mut bytes = message(NLMSG_ERROR, 0, 0, [0; 2], &[0; 16]);
        bytes[HEADER..HEADER + 4].copy_from_slice(&error.to_ne_bytes());
        bytes
    }

    #[test]
    fn messages_are_as_long_as_they_say() {
        for request in [get_table("jaula"), get_table("ab"), get_table("abc")] {
            let said = u32::from_ne_bytes(*request.first_chunk().unwrap());
            assert_eq!(said as usize, request.len());
            assert_eq!(request.len() % 4, 0);
        }
    }

    #[test]
    fn the_answer_is_found_behind_what_else_was_sent() {
        let table = get_table("jaula");
        for (datagram, expected) in [
            (acknowledgement(0), Some(Ok(()))),
            (acknowledgement(-2), Some(Err(Errno::ENOENT))),
            ([table.clone(), acknowledgement(0)].concat(), Some(Ok(()))),
            (table, None),
            (Vec::new(), None),
        ] {
            assert_eq!(read_answer(&datagram), expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = read_answer(&bytes);
        }
    }
}
