//! `--network`.

use clap::ValueEnum;

/// What an instance is connected to, without the ports that are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkArg {
    /// Nothing but a loopback interface of its own
    None,
    /// All that the host is connected to
    Host,
    /// The outside, behind address translation; what it publishes can be reached from there
    Bridge,
}
