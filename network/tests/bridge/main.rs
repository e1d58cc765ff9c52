//! The bridge, with all that the kernel does about it.

#![allow(clippy::unwrap_used)]

mod lab;
mod published;
mod reach;
mod setup;
mod taps;
