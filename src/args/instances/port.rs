//! `jaula port`.

use clap::Args;
use launch::Port;

use crate::notation::instance_port;

#[derive(Debug, Args)]
pub struct PortArgs {
    /// Name, ID, or the beginning of an ID that no other has
    #[arg(value_name = "INSTANCE")]
    pub name: String,

    /// Only this port of the instance, tcp if nothing else is said [default: all]
    #[arg(value_name = "PORT[/PROTOCOL]", value_parser = instance_port)]
    pub port: Option<Port>,
}
