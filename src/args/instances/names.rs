use clap::Args;

/// Which instances, where nothing else can be said.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Names, IDs, or beginnings of IDs that no other has
    #[arg(value_name = "INSTANCE", required = true)]
    pub names: Vec<String>,
}
