//! Which parts of a memory file are data.

use serde::{Deserialize, Serialize};

/// Size of a page, which the offset and the size of each extent are multiples of.
pub const PAGE_BYTES: u64 = 4096;

/// A part of the file. An offset in the file is a position in RAM, counted without the hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// From the start of the file.
    pub offset: u64,
    /// Its size, not 0.
    pub bytes: u64,
}

impl Extent {
    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// Parts of a file: whole pages, the lowest first, none of which touches the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Extent>")]
pub struct Extents(Vec<Extent>);

/// Extents that no memory file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the extent at {offset:#x} is not of whole pages, or not behind the one before")]
pub struct InvalidExtents {
    offset: u64,
}

impl TryFrom<Vec<Extent>> for Extents {
    type Error = InvalidExtents;

    fn try_from(extents: Vec<Extent>) -> Result<Self, InvalidExtents> {
        let mut last_end = None;
        for &Extent { offset, bytes } in &extents {
            let whole = offset.is_multiple_of(PAGE_BYTES) && bytes.is_multiple_of(PAGE_BYTES);
            let behind = last_end.is_none_or(|end| offset > end);
            // An offset in a file is signed.
            let end = offset
                .checked_add(bytes)
                .filter(|&end| end <= i64::MAX as u64);
            match end {
                Some(end) if whole && behind && bytes > 0 => last_end = Some(end),
                _ => return Err(InvalidExtents { offset }),
            }
        }
        Ok(Self(extents))
    }
}

impl Extents {
    /// The lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Extent> {
        self.0.iter().copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Size of all of them.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|extent| extent.bytes).sum()
    }

    /// Where the last one ends: 0 if there is none.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, Extent::end)
    }

    /// Adds a page behind all that were added before. With at most `gap_bytes` between, it
    /// becomes one with the last extent, and the gap a part of it.
    pub(super) fn add_page(&mut self, offset: u64, gap_bytes: u64) {
        let page = Extent {
            offset,
            bytes: PAGE_BYTES,
        };
        self.add(page, gap_bytes);
    }

    /// The same, with what is at most `gap_bytes` apart made one.
    pub(super) fn with_gaps_closed(&self, gap_bytes: u64) -> Self {
        let mut closed = Self::default();
        for extent in self.iter() {
            closed.add(extent, gap_bytes);
        }
        closed
    }

    fn add(&mut self, extent: Extent, gap_bytes: u64) {
        match self.0.last_mut() {
            Some(last) if extent.offset - last.end() <= gap_bytes => {
                last.bytes = extent.end() - last.offset;
            }
            _ => self.0.push(extent),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn merged(pages: &BTreeSet<u64>, gap_pages: u64) -> Extents {
        let mut extents = Extents::default();
        for page in pages {
            extents.add_page(page * PAGE_BYTES, gap_pages * PAGE_BYTES);
        }
        extents
    }

    fn pages_of(extents: &Extents) -> BTreeSet<u64> {
        let pages = |extent: Extent| extent.offset / PAGE_BYTES..extent.end() / PAGE_BYTES;
        extents.iter().flat_map(pages).collect()
    }

    #[test]
    fn small_gaps_are_closed_and_larger_ones_are_not() {
        let extents = merged(&[0, 1, 4, 8].into(), 2);
        let expected = [(0, 5), (8, 1)].map(|(page, pages)| Extent {
            offset: page * PAGE_BYTES,
            bytes: pages * PAGE_BYTES,
        });
        assert_eq!(extents.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn extents_that_no_file_has_are_refused() {
        const P: u64 = PAGE_BYTES;
        const LAST: u64 = i64::MAX as u64 / P * P;
        for (extents, valid) in [
            (vec![], true),
            (vec![(0, P), (2 * P, P)], true),
            (vec![(LAST - P, P)], true),
            (vec![(0, 0)], false),
            (vec![(1, P)], false),
            (vec![(0, P + 1)], false),
            (vec![(0, P), (P, P)], false),
            (vec![(2 * P, P), (0, P)], false),
            (vec![(0, 3 * P), (P, P)], false),
            (vec![(LAST, P)], false),
            (vec![(P, u64::MAX - P + 1)], false),
        ] {
            let list = extents
                .iter()
                .map(|&(offset, bytes)| Extent { offset, bytes });
            let list: Vec<_> = list.collect();
            assert_eq!(Extents::try_from(list).is_ok(), valid, "{extents:?}");
        }
    }

    proptest! {
        #[test]
        fn without_gaps_exactly_the_pages_are_covered(
            pages in prop::collection::btree_set(0_u64..400, 0..200),
        ) {
            let extents = merged(&pages, 0);
            prop_assert_eq!(pages_of(&extents), pages);
            prop_assert!(Extents::try_from(extents.0).is_ok());
        }

        #[test]
        fn with_gaps_all_pages_are_covered_and_what_is_left_out_is_wider_than_a_gap(
            pages in prop::collection::btree_set(0_u64..400, 0..200),
            gap_pages in 0_u64..8,
        ) {
            let extents = merged(&pages, gap_pages);
            prop_assert!(pages_of(&extents).is_superset(&pages));
            for pair in extents.0.windows(2) {
                prop_assert!(pair[1].offset - pair[0].end() > gap_pages * PAGE_BYTES);
            }
            for extent in extents.iter() {
                prop_assert!(pages.contains(&(extent.offset / PAGE_BYTES)));
                prop_assert!(pages.contains(&(extent.end() / PAGE_BYTES - 1)));
            }
            prop_assert_eq!(&merged(&pages, 0).with_gaps_closed(gap_pages * PAGE_BYTES), &extents);
            prop_assert!(Extents::try_from(extents.0).is_ok());
        }

        #[test]
        fn arbitrary_extents_that_are_taken_are_in_order(
            list in prop::collection::vec((any::<u64>(), any::<u64>()), 0..4),
        ) {
            let list: Vec<_> = list
                .into_iter()
                .map(|(offset, bytes)| Extent { offset, bytes })
                .collect();
            if let Ok(extents) = Extents::try_from(list) {
                prop_assert!(extents.bytes() <= extents.end());
            }
        }
    }
}
