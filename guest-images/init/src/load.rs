use crate::stream::Stream;
use crate::terminal::Terminal;

/// What is carried between a command and the host.
pub(crate) enum Load {
    Streams(Vec<Stream>),
    Terminal(Box<Terminal>),
}
