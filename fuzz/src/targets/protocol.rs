//! What a guest's PID 1 says to the monitor, and what its users are looked up in.

use std::fmt::Debug;

use guest_images::{UserSpec, look_up_among};
use guest_protocol::{FromSession, ToHost, UserFile, read_message, write_message};

use crate::allocation;

/// A message is not longer than the input, whatever it says.
const MAX_ALLOCATED_BYTES: usize = 256 << 10;

/// Feeds it one input.
pub fn run(input: &[u8]) {
    allocation::limited(MAX_ALLOCATED_BYTES, || {
        let Some((kind, message)) = input.split_first() else {
            return;
        };
        match kind % 4 {
            0 => drop(read_all::<ToHost>(message)),
            1 => {
                for message in read_all::<FromSession>(message) {
                    if let FromSession::Users(Ok(found)) = message {
                        look_up(&bytes(found.passwd), &bytes(found.group));
                    }
                }
            }
            // Without the frame, in which a number must be right.
            2 => drop(read_all::<ToHost>(&framed(message))),
            _ => {
                let (passwd, group) = message.split_at(message.len() / 2);
                look_up(passwd, group);
            }
        }
    });
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_le_bytes()[..], message].concat()
}

fn bytes(file: UserFile) -> Vec<u8> {
    match file {
        UserFile::Bytes(bytes) => bytes,
        UserFile::NotRegular | UserFile::TooLong => Vec::new(),
    }
}

/// Reads messages up to the first that is none. What was read can be written, and is read again
/// as the same.
fn read_all<T>(mut from: &[u8]) -> Vec<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let mut all = Vec::new();
    while let Ok(Some(message)) = read_message::<T>(&mut from) {
        let mut written = Vec::new();
        write_message(&mut written, &message).expect("to be written");
        let again = read_message::<T>(&mut written.as_slice()).expect("to be read");
        assert_eq!(again.as_ref(), Some(&message));
        all.push(message);
    }
    all
}

fn look_up(passwd: &[u8], group: &[u8]) {
    for spec in ["root", "0", "a:b", "1000:a", "a"] {
        let spec: UserSpec = spec.parse().expect("a user");
        // Whoever is not there is none.
        let _ = look_up_among(&spec, passwd, group);
    }
}
