//! What jaula does, told on standard error to whoever looks for a fault.

use std::env;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// What is told, as `tracing_subscriber::EnvFilter` reads it: `debug`, or `vmm=trace`. Nothing
/// without it.
const VARIABLE: &str = "JAULA_LOG";

/// The variable says something that is no filter.
#[derive(Debug, thiserror::Error)]
#[error("can't make sense of {VARIABLE}")]
pub struct BadFilter(#[source] ParseError);

/// Starts telling, in this process, if it was asked for.
pub fn start() -> Result<(), BadFilter> {
    if let Some(filter) = env::var_os(VARIABLE) {
        let filter = EnvFilter::try_new(filter.to_string_lossy()).map_err(BadFilter)?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .init();
    }
    Ok(())
}
