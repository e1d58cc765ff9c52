use super::header::{HEADER_BYTES, Header};
use super::rate::{self, Bucket};
use super::tap::{MAX_FRAME_BYTES, Tap};
use super::{FRAMES_AT_ONCE, Turn};
use crate::devices::virtio::{
    Allowance, BrokenQueue, Chain, ChainError, DeviceQueue, Outcome, Readable, Step, TooShort,
};

/// Length of what every frame begins with: the addresses of receiver and sender, 48 bits each, and
/// the type of the rest, 16 bits (IEEE 802.3, clause 3).
const ETHERNET_HEADER_BYTES: u32 = 14;

/// The direction from the guest to the host.
pub(super) struct Transmitter {
    pub(super) queue: DeviceQueue,
    features: u64,
}

/// A chain that is sent to nobody.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("a frame without a header")]
    NoHeader(#[from] TooShort),
    #[error("a header that asks for what was not negotiated")]
    Header,
    #[error("a frame of {0} bytes")]
    Size(u32),
}

impl Transmitter {
    pub(super) fn new(queue: DeviceQueue, features: u64) -> Self {
        Self { queue, features }
    }

    /// Sends what the guest offers. As on any Ethernet, a frame may be lost.
    pub(super) fn serve(
        &mut self,
        tap: &Tap,
        mut limit: Option<&mut Bucket>,
    ) -> Result<Turn, BrokenQueue> {
        let features = self.features;
        let mut allowance = Allowance::of(FRAMES_AT_ONCE);
        let mut used = false;
        loop {
            self.queue.disable_notification()?;
            loop {
                // What the guest offers meanwhile, it need not tell of.
                if let Some(wait) = rate::wait(&mut limit) {
                    return Ok(Turn {
                        used,
                        unfinished: false,
                        wait: Some(wait),
                    });
                }
                let mut sent_bytes = 0;
                if !allowance.take()
                    || self.queue.serve_next(|chain| {
                        sent_bytes = send(chain, features, tap);
                        Outcome::Used(0)
                    })? != Step::Used
                {
                    break;
                }
                used = true;
                if let Some(limit) = &mut limit {
                    limit.take(sent_bytes);
                }
            }
            let unfinished = allowance.is_used_up();
            if unfinished || !self.queue.enable_notification()? {
                return Ok(Turn {
                    used,
                    unfinished,
                    wait: None,
                });
            }
        }
    }
}

/// How many bytes the frame has.
fn send(chain: Chain<'_>, features: u64, tap: &Tap) -> u32 {
    match frame(chain, features) {
        Ok((header, frame)) => {
            tap.send(header, &frame);
            frame.bytes()
        }
        Err(error) => {
            tracing::debug!("network: {error}");
            0
        }
    }
}

/// Takes a chain apart. The header is copied: what is checked is what is sent.
fn frame(chain: Chain<'_>, features: u64) -> Result<(Header, Readable<'_>), Refused> {
    let (first, frame) = chain.buffers()?.readable.split_at(HEADER_BYTES as u32)?;
    let mut header = Header::default();
    first.copy_to(&mut header.0)?;
    if !header.is_allowed_with(features) {
        return Err(Refused::Header);
    }
    let bytes = frame.bytes();
    if !(ETHERNET_HEADER_BYTES..=MAX_FRAME_BYTES as u32).contains(&bytes) {
        return Err(Refused::Size(bytes));
    }
    Ok((header, frame))
}
