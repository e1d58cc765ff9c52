//! A guest and its monitor, reduced to one virtio device: its memory, the registers that its
//! accesses reach, the device behind them, and the event manager that wakes that.

mod board;
mod guest;
mod hostile;
mod machine;

pub use guest::{Buffer, Guest};
pub use machine::{Subject, memory_after, run};
