use super::credit::Overrun;

/// The guest has broken a rule, and loses the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error(transparent)]
    Overrun(#[from] Overrun),
    #[error("data came after its end")]
    DataAfterEnd,
    #[error("a packet makes no sense on an open connection")]
    Nonsense,
}
