use crate::failure::Failure;
use crate::memory::{Mapping, PAGE_BYTES};
use crate::report::Report;
use crate::sampling::{sample, time_batch};

const PAGES: u32 = 16;

/// First touches of pages, which the kernel fills with zeros. They are given back after each value, so
/// that it is soon pages that the kernel has at hand: what it takes to get memory from below is for
/// `memory` to tell.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let mut mapping = Mapping::without_huge_pages(PAGES as usize * PAGE_BYTES)?;
    let values = sample(|| {
        let mut page = 0;
        let took = time_batch(PAGES, || {
            mapping.touch(page * PAGE_BYTES, PAGE_BYTES);
            page += 1;
            Ok(())
        })?;
        mapping.give_back(0, usize::MAX)?;
        Ok(took)
    })?;
    report.add("first-touch", PAGES, values);
    Ok(())
}
