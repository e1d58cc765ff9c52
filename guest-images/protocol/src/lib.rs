//! What a monitor and its guest's PID 1 say to each other.
//!
//! Two ways lead out of a guest:
//!
//! - the [doorbell](Mark): one page of guest-physical address space. PID 1 maps it and stores a
//!   number; the monitor stamps the moment with the host's clock. Nothing waits, nothing is
//!   copied, and the guest's clock is never asked.
//! - four vsock connections, all opened by the guest after [`Mark::Ready`], to [`Ports::COMMAND`]:
//!   one carries framed messages, the others the command's standard streams as plain bytes. A
//!   stream ends by shutting down its sending direction. Whoever does not want what the other end
//!   sends closes the connection; the host sends nothing on the output streams, so its end of one
//!   that shuts down tells the guest that nobody listens.
//!
//! In another monitor than ours there is no doorbell, and the connections are TCP ([`OVER_TCP`]).
//!
//! On the control connection the monitor sends one [`ToGuest::Start`], then any number of
//! [`ToGuest::Signal`]s; the guest answers with exactly one of [`ToHost::Ended`] and
//! [`ToHost::Failed`], after all output of the command was sent and both outputs were ended. The
//! monitor then drops the machine: a guest is never shut down.
//!
//! Further commands are sessions. [`ToGuest::OpenSession`] has the guest connect to the session's
//! control port, and there each session has a conversation of its own: the monitor sends one
//! [`ToSession::Execute`], for whose streams the guest opens connections as above, and then any
//! number of signals; the guest answers with [`FromSession::Executed`] and then one of
//! [`FromSession::Ended`] and [`FromSession::Failed`]. In place of all this the
//! session may be for what the root says of users ([`ToSession::TellUsers`]), or the kernel of memory
//! ([`ToSession::TellMemory`]). So whatever goes
//! wrong with a session is its own affair. A monitor that wants no more of it closes the connection. None of them is in a
//! machine that goes on from a snapshot: the guest finds them reset.
//!
//! Every byte from a guest is hostile: [`read_message`] takes no more than [`MAX_MESSAGE_BYTES`].

mod disks;
mod doorbell;
mod entropy;
mod frame;
mod interface;
mod message;
mod ports;
mod session;
mod shares;
mod tcp;

/// The context ID of a guest. Each guest has a vsock device of its own, so all may share one.
/// The host is 2 (`VMADDR_CID_HOST`, `vsock(7)`).
pub const GUEST_CID: u64 = 3;

pub use disks::{Disk, FIRST_DISK_PLACE};
pub use doorbell::{DOORBELL_BYTES, DOORBELL_GPA, Mark, UnknownMark};
pub use entropy::Entropy;
pub use frame::{FrameError, MAX_MESSAGE_BYTES, read_message, write_message};
pub use interface::{Interface, NETWORK_PLACE};
pub use message::{End, Incarnation, Start, Task, ToGuest, ToHost};
pub use ports::Ports;
pub use session::{
    Execute, FromSession, MAX_USERS_BYTES, SessionNumber, SessionStreams, ToSession, UserFile,
    Users,
};
pub use shares::{SHARES, SHARES_TAG, share_path};
pub use tcp::{OVER_TCP, TCP_INTERFACE};
