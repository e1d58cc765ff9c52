//! `jaula stats`.

use clap::Args;

use super::Format;

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Look once and end
    #[arg(long)]
    pub no_stream: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Names, IDs, or beginnings of IDs that no other has [default: all that run]
    #[arg(value_name = "INSTANCE")]
    pub names: Vec<String>,
}
