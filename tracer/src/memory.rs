//! What a watched task has in its memory. It may say anything, so nothing is believed, and no more
//! is read than is shown.

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// As much of a text as is shown.
const LONGEST_TEXT: usize = 256;

/// The smallest page there is: memory goes on at least to its end.
const PAGE: usize = 4096;

/// `N` bytes at `address`; `None` if they are not all there, or not ours to read.
pub(crate) fn bytes<const N: usize>(pid: Pid, address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (read(pid, address, &mut bytes)? == N).then_some(bytes)
}

/// The text at `address`, to its end or to where it gets long.
pub(crate) fn text(pid: Pid, address: u64) -> Option<String> {
    let mut bytes = [0; LONGEST_TEXT];
    let address_in_page = address as usize % PAGE;
    // To the end of the page first: the next one may not be there.
    let first = LONGEST_TEXT.min(PAGE - address_in_page);
    let mut length = read(pid, address, &mut bytes[..first])?;
    if length < LONGEST_TEXT && !bytes[..length].contains(&0) {
        length += read(pid, address + length as u64, &mut bytes[length..]).unwrap_or(0);
    }
    let bytes = &bytes[..length];
    Some(match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => String::from_utf8_lossy(&bytes[..end]).into_owned(),
        None => String::from_utf8_lossy(bytes).into_owned() + "…",
    })
}

/// As much as is shown of the `length` bytes at `address`.
pub(crate) fn data(pid: Pid, address: u64, length: u64) -> Option<Vec<u8>> {
    const LONGEST_DATA: u64 = 48;
    let mut bytes = vec![0; length.min(LONGEST_DATA) as usize];
    let read = read(pid, address, &mut bytes)?;
    bytes.truncate(read);
    Some(bytes)
}

fn read(pid: Pid, address: u64, into: &mut [u8]) -> Option<usize> {
    let from = RemoteIoVec {
        base: usize::try_from(address).ok().filter(|&base| base != 0)?,
        len: into.len(),
    };
    process_vm_readv(pid, &mut [IoSliceMut::new(into)], &[from]).ok()
}

#[cfg(test)]
mod tests {
    use nix::unistd::getpid;

    use super::*;

    #[test]
    fn a_text_is_read_to_its_end() {
        let text_here = c"a text";
        let read = text(getpid(), text_here.as_ptr() as u64);
        assert_eq!(read.as_deref(), Some("a text"));
    }

    #[test]
    fn a_text_without_an_end_is_cut() {
        let long = vec![b'x'; 3 * PAGE];
        let read = text(getpid(), long.as_ptr() as u64).unwrap();
        assert_eq!(read, "x".repeat(LONGEST_TEXT) + "…");
    }

    #[test]
    fn nothing_is_read_where_there_is_nothing() {
        for address in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(text(getpid(), address), None, "{address:#x}");
            assert_eq!(bytes::<8>(getpid(), address), None, "{address:#x}");
            assert_eq!(data(getpid(), address, u64::MAX), None, "{address:#x}");
        }
    }
}
