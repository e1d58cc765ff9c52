//! Further commands in a machine that runs, each a session of the guest's: see [`guest_protocol`].
//!
//! One who wants it asks by a [`Request`](super::Request), and hands over the command and its
//! streams. The main thread opens ports for the session ([`Sessions`]); all else is done by threads
//! of the session's own ([`serve`]), so that nothing that its guest, its asker or its streams do
//! holds up anybody else:
//!
//! | thread | does |
//! |---|---|
//! | request | waits for what the guest says, and tells the asker |
//! | asker | waits for what the asker says, and for its end |
//! | stdin, stdout, stderr | copy bytes between the guest's streams and the asker's |
//!
//! What users the root of a guest's commands has, and what memory the guest has left, is asked in a session,
//! too ([`tell_users`], [`tell_memory`]).

mod conversation;
mod lease;
mod memory;
mod message;
mod question;
mod sessions;
mod users;

pub(super) use conversation::serve;
pub(super) use lease::Lease;
pub(super) use memory::tell_memory;
pub(crate) use message::{ExecNews, ExecWord};
pub(super) use sessions::{OpenRequest, Sessions};
pub(super) use users::tell_users;
