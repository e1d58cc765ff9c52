use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest message, in bytes: room for the arguments and the environment of `execve`, which the
/// kernel limits to 2 MiB with the usual stack limit (`execve(2)`), and some more.
pub const MAX_MESSAGE_BYTES: u32 = 4 << 20;

/// As long as most messages are, in bytes.
const USUAL_BYTES: usize = 4096;

/// Why a message can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection failed, or ended within a message.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The other end announced a message of more than [`MAX_MESSAGE_BYTES`], or we made one.
    #[error("a message of {0} bytes is longer than {MAX_MESSAGE_BYTES}")]
    TooLong(usize),
    /// The bytes are no message of the expected type.
    #[error("a message makes no sense")]
    Malformed(#[from] postcard::Error),
}

/// Writes `message` behind its length, a little-endian 32-bit number.
///
/// # Errors
///
/// When the message is too long, or the writer fails.
pub fn write_message(writer: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    let body = postcard::to_stdvec(message)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= MAX_MESSAGE_BYTES)
        .ok_or(FrameError::TooLong(body.len()))?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    writer.write_all(&frame)?;
    Ok(())
}

/// Reads one message; `None` if the other end closed the connection between two.
///
/// # Errors
///
/// When the reader fails, or what it gives is too long or no message.
pub fn read_message<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut length = [0; 4];
    match reader.read(&mut length)? {
        0 => return Ok(None),
        bytes => reader.read_exact(&mut length[bytes..])?,
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_MESSAGE_BYTES {
        return Err(FrameError::TooLong(length as usize));
    }
    // For most messages one read is enough. Beyond that it grows with what arrives, not with what
    // was announced.
    let mut body = Vec::with_capacity(USUAL_BYTES.min(length as usize));
    reader.take(length.into()).read_to_end(&mut body)?;
    if body.len() < length as usize {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(postcard::from_bytes(&body)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(message: (String, Vec<u8>, u64)) {
            let mut bytes = Vec::new();
            write_message(&mut bytes, &message).unwrap();
            let read = read_message::<(String, Vec<u8>, u64)>(&mut bytes.as_slice()).unwrap();
            prop_assert_eq!(read, Some(message));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = read_message::<(String, Vec<u8>, u64)>(&mut bytes.as_slice());
        }
    }

    #[test]
    fn an_announced_length_is_not_believed() {
        let mut huge = &u32::MAX.to_le_bytes()[..];
        assert!(matches!(
            read_message::<String>(&mut huge),
            Err(FrameError::TooLong(_))
        ));
        let mut short = &[4, 0, 0, 0, 1][..];
        assert!(matches!(
            read_message::<String>(&mut short),
            Err(FrameError::Io(_))
        ));
    }

    #[test]
    fn a_connection_may_end_between_messages_but_not_within_one() {
        assert!(matches!(read_message::<String>(&mut &[][..]), Ok(None)));
        assert!(matches!(
            read_message::<String>(&mut &[1, 0][..]),
            Err(FrameError::Io(_))
        ));
    }
}
