//! The command, and what is around it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use guest_images::{GroupSpec, UserSpec};
use launch::{Hostname, Ulimit};

use crate::environment::Variable;

/// What is executed, where and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Set an environment variable; without a value it takes yours, if you have one
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<Variable>,

    /// Set the variables of a file, one a line; -e goes before it
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,

    /// Directory inside the image where the command starts, made if it is missing
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<OsString>,

    /// User, and group, of the command: names are looked up in the image
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserSpec>,

    /// One more group of the command: a name is looked up in the image
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<GroupSpec>,

    /// Run this program instead of the image's own; COMMAND becomes its arguments. With "" the
    /// image's own is left out and COMMAND is run
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,

    /// Put an init in front of the command, which reaps processes that nobody waits for
    #[arg(long)]
    pub init: bool,

    /// Limit of each process, as in nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<Ulimit>,

    /// Let the command read your standard input; otherwise it finds nothing to read
    #[arg(short, long)]
    pub interactive: bool,

    /// Name that the command finds its machine to have [default: jaula]
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<Hostname>,
}
