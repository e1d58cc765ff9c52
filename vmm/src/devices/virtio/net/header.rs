use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_HDR_F_NEEDS_CSUM,
    VIRTIO_NET_HDR_GSO_ECN, VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4,
};

/// Size of what stands before each frame, in both directions (virtio 1.2, section 5.1.6): flags,
/// 8 bits; type of segmentation, 8 bits; length of the frame's headers, size of a segment, start
/// and offset of the checksum, number of buffers, 16 bits each.
pub(super) const HEADER_BYTES: usize = 12;

/// Where the number of buffers stands.
const BUFFERS_AT: usize = 10;

/// A header, as it is in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header(pub(super) [u8; HEADER_BYTES]);

impl Header {
    /// Whether a driver that has chosen these features may ask for what it asks for. The host's
    /// kernel checks the lengths in it against the frame.
    pub(super) fn is_allowed_with(self, features: u64) -> bool {
        let chosen = |feature: u32| features & 1 << feature != 0;
        let [flags, segmentation, ..] = self.0.map(u32::from);
        let wants_checksum = flags == VIRTIO_NET_HDR_F_NEEDS_CSUM;
        if flags != 0 && !(wants_checksum && chosen(VIRTIO_NET_F_CSUM)) {
            return false;
        }
        match segmentation & !VIRTIO_NET_HDR_GSO_ECN {
            VIRTIO_NET_HDR_GSO_NONE => segmentation == VIRTIO_NET_HDR_GSO_NONE,
            // Each segment has a checksum of its own (section 5.1.6.2.1).
            VIRTIO_NET_HDR_GSO_TCPV4 if wants_checksum && chosen(VIRTIO_NET_F_HOST_TSO4) => {
                segmentation & VIRTIO_NET_HDR_GSO_ECN == 0 || chosen(VIRTIO_NET_F_HOST_ECN)
            }
            _ => false,
        }
    }

    /// For a frame that is spread over so many buffers.
    pub(super) fn over(mut self, buffers: u16) -> Self {
        self.0[BUFFERS_AT..].copy_from_slice(&buffers.to_le_bytes());
        self
    }

    /// Without a word on the frame's checksum: for a driver that would not understand it.
    pub(super) fn without_flags(mut self) -> Self {
        self.0[0] = 0;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSUM: u64 = 1 << VIRTIO_NET_F_CSUM;
    const TSO: u64 = CSUM | 1 << VIRTIO_NET_F_HOST_TSO4;
    const ECN: u64 = TSO | 1 << VIRTIO_NET_F_HOST_ECN;

    #[test]
    fn a_driver_may_ask_for_what_it_has_negotiated_and_nothing_else() {
        for (flags, segmentation, needs) in [
            (0, 0, Some(0)),
            (1, 0, Some(CSUM)),
            (1, 1, Some(TSO)),
            (1, 0x81, Some(ECN)),
            // Segments without checksums; ECN of nothing; UDP, IPv6; flags that are the device's.
            (0, 1, None),
            (0, 0x80, None),
            (1, 0x80, None),
            (1, 3, None),
            (1, 4, None),
            (1, 5, None),
            (2, 0, None),
            (3, 0, None),
            (5, 0, None),
            (1, 0xff, None),
        ] {
            let mut header = Header::default();
            (header.0[0], header.0[1]) = (flags, segmentation);
            for features in [0, CSUM, TSO, ECN] {
                let expected = needs.is_some_and(|needs: u64| features & needs == needs);
                assert_eq!(
                    header.is_allowed_with(features),
                    expected,
                    "{flags} {segmentation} {features:#x}"
                );
            }
        }
    }
}
