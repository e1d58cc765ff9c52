use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::{Values, sample, time_batch};

const BLOCK_BYTES: usize = 4096;

/// Of what is read in one piece, one after the other.
const STRETCH_BYTES: usize = 128 << 10;

/// After this no more is read: where a guest's kernel is emulated, each read takes milliseconds.
const LONGEST: Duration = Duration::from_secs(1);

/// Writes of four KiB to one place of a file in the working directory: by themselves, and with
/// `fsync`.
pub(crate) fn measure_fsync(report: &mut Report) -> Result<(), Failure> {
    let path = format!("probe-{}.tmp", process::id());
    let file =
        File::create_new(&path).map_err(Failure::of("make a file in the working directory"))?;
    let written = write(&file, report);
    // Whether it could be written to or not.
    let removed = std::fs::remove_file(&path).map_err(Failure::of("remove the file again"));
    written.and(removed)
}

fn write(file: &File, report: &mut Report) -> Result<(), Failure> {
    let block = [7; BLOCK_BYTES];
    let put = || {
        file.write_all_at(&block, 0)
            .map_err(Failure::of("write to a file"))
    };
    let values = sample(|| time_batch(1, put))?;
    report.add("write-4k", 1, values);
    let values = sample(|| {
        time_batch(1, || {
            put()?;
            file.sync_all().map_err(Failure::of("sync a file"))
        })
    })?;
    report.add("write-4k-fsync", 1, values);
    Ok(())
}

/// Reads what lies beside this program in the image, and what this instance has not read before: the
/// first half in single blocks in no order, the second from front to back. Nothing is read twice.
pub(crate) fn measure_read(report: &mut Report) -> Result<(), Failure> {
    let program = env::current_exe().map_err(Failure::of("find this program"))?;
    let half_bytes = half_of(&program)?;
    let open = || {
        let file = File::open(program.with_extension("data"));
        file.map_err(Failure::of("open the file that is to be read"))
    };

    let file = open()?;
    // Nobody is to read ahead of what is asked for.
    fadvise(&file, 0, None, Advice::Random).map_err(Failure::of("tell how a file is read"))?;
    let count = half_bytes / BLOCK_BYTES as u64;
    let offsets = (0..count).map(|index| scattered(index, count) * BLOCK_BYTES as u64);
    let values = read_each::<BLOCK_BYTES>(&file, offsets)?;
    report.add("read-4k-first", 1, values);

    // Opened anew, as the advice is the open file's.
    let file = open()?;
    let count = half_bytes / STRETCH_BYTES as u64;
    let offsets = (0..count).map(|index| half_bytes + index * STRETCH_BYTES as u64);
    let values = read_each::<STRETCH_BYTES>(&file, offsets)?;
    report.add("read-128k-first", 1, values);
    Ok(())
}

fn half_of(program: &Path) -> Result<u64, Failure> {
    let metadata = std::fs::metadata(program.with_extension("data"));
    let metadata = metadata.map_err(Failure::of("look at the file that is to be read"))?;
    Ok(metadata.len() / 2)
}

/// All numbers below `count` in an order that no one would guess, if that is a power of two.
fn scattered(index: u64, count: u64) -> u64 {
    // Odd, so that it has an inverse modulo any power of two: 2^64 over the golden ratio.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    index.wrapping_mul(STEP) % count.max(1)
}

fn read_each<const BYTES: usize>(
    file: &File,
    offsets: impl Iterator<Item = u64>,
) -> Result<Values, Failure> {
    let mut buffer = vec![1; BYTES];
    let mut values = Values::default();
    let all_began = Instant::now();
    for offset in offsets {
        if all_began.elapsed() > LONGEST {
            break;
        }
        let began = Instant::now();
        file.read_exact_at(&mut buffer, offset)
            .map_err(Failure::of("read a file"))?;
        values.push(began.elapsed());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_block_is_read_once_and_not_in_order() {
        let order: Vec<_> = (0..1024).map(|index| scattered(index, 1024)).collect();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 1024);
        let neighbours = order.windows(2).filter(|it| it[1] == it[0] + 1).count();
        assert_eq!(neighbours, 0);
    }
}
