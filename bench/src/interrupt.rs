use std::sync::atomic::{AtomicBool, Ordering};

/// Lets another thread end a comparison: what runs is killed, nothing more is launched.
#[derive(Debug, Default)]
pub struct Interrupt {
    is_raised: AtomicBool,
    holds_results: AtomicBool,
}

impl Interrupt {
    /// Asks for the end.
    pub fn raise(&self) {
        self.is_raised.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_raised(&self) -> bool {
        self.is_raised.load(Ordering::Relaxed)
    }

    /// Says that an end now would leave something to report.
    pub(crate) fn hold_results(&self) {
        self.holds_results.store(true, Ordering::Relaxed);
    }

    /// Whether it would: whoever raises this should wait for the report then.
    pub fn holds_results(&self) -> bool {
        self.holds_results.load(Ordering::Relaxed)
    }
}
