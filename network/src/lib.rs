//! Connects an instance.
//!
//! - [`Bridge`] is what instances of root's are connected to: a [`Namespace`] gets a link to it, an
//!   address and a way out, or a [`Tap`] is one end of such a link; [`Publication`] makes ports of the host's lead to one. [`OnBridge`] is
//!   all of that together.
//! - [`UserMode`] is the same for those of ordinary users, and [`TapInUserMode`] for their machines.
//! - [`files_without_network`] and its like are what names are looked up in.
//!
//! Interfaces are made by rtnetlink, rules of the packet filter by nft. The kernel keeps the book:
//! an address belongs to whoever has the link that is named after it, a port to whoever has a
//! socket on it. What is left of a killed launcher is a table of the packet filter, and that is in
//! the instance's record, or a program that ends when the instance's directory is removed.

mod bridge;
mod error;
mod held_port;
mod link;
mod name_files;
mod namespace;
mod nft;
mod on_bridge;
mod outpost;
mod publication;
mod resolver;
mod route_socket;
mod rules;
mod subnet;
mod sysctl;
mod tap;
mod user_mode;

pub use bridge::{Bridge, Connection, NAME as BRIDGE};
pub use error::Error;
pub use name_files::{files_in_user_mode, files_on_host, files_without_network};
pub use namespace::{Namespace, PendingNamespace};
pub use on_bridge::OnBridge;
pub use publication::{Publication, Reservation};
pub use tap::Tap;
pub use user_mode::{
    TapInUserMode, UserMode, UserModePorts, UserModeReservation, user_mode_finding,
};
