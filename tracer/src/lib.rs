//! Watches the system calls of a process and of all that it starts, with `ptrace(2)`.
//!
//! [`watch`] is the way in. What it saw are [`Call`]s, written as in a program, with what they
//! returned and how long they took. `signatures.rs` says how the arguments of a call are to be
//! read; a call that is not there is written with its numbers.

mod arguments;
mod call;
mod memory;
mod names;
mod ptrace;
mod signatures;
mod stop;
mod watch;

pub use call::Call;
pub use watch::{Error, watch};
