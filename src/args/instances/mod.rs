//! The commands that work with instances which were started before.

pub(super) mod exec;
mod inspect;
mod kill;
mod logs;
mod names;
mod port;
mod ps;
mod rm;
mod since;
mod stats;
mod stop;

pub use exec::ExecArgs;
pub use inspect::InspectArgs;
pub use kill::KillArgs;
pub use logs::{LogsArgs, Tail};
pub use names::NamesArgs;
pub use port::PortArgs;
pub use ps::{Filter, Format, PsArgs, StateName};
pub use rm::RmArgs;
pub use stats::StatsArgs;
pub use stop::StopArgs;
