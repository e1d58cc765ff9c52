use std::hint::black_box;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::Values;

const BLOCK_BYTES: usize = 256 << 10;

/// As many as a tail takes. 80 MiB in all, however long that takes: the same job everywhere.
const BLOCKS: usize = 320;

/// SHA-256 of fixed blocks: the processor alone.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let block: Vec<u8> = (0..BLOCK_BYTES).map(|index| index as u8).collect();
    let mut values = Values::default();
    for _ in 0..BLOCKS {
        let began = Instant::now();
        black_box(Sha256::digest(black_box(&block)));
        values.push(began.elapsed());
    }
    report.add("sha256-256k", 1, values);
    Ok(())
}
