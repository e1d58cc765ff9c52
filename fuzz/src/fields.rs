//! Numbers and names of a hostile author: mostly such as mean something, so that they get behind
//! the first check, and now and then any.

use arbitrary::{Result, Unstructured};

/// Where an input ends, all that is asked for is 0; whoever does something as long as there is
/// input does not go on for ever.
pub const MAX_STEPS: usize = 64;

/// A number below `usual`, or one that lies at the edge of some width, or any.
pub fn number(u: &mut Unstructured<'_>, usual: u64) -> Result<u64> {
    Ok(match u.int_in_range(0..=15u8)? {
        0 => u.arbitrary()?,
        1 => *u.choose(&[
            0,
            1,
            u64::MAX,
            u64::MAX - 1,
            i64::MAX as u64,
            1 << 63,
            u32::MAX.into(),
            1 << 32,
            1 << 31,
            u16::MAX.into(),
        ])?,
        2 => u64::from(u.arbitrary::<u32>()?),
        _ => u.int_in_range(0..=usual.saturating_sub(1))?,
    })
}

/// The same, cut off at 32 bits.
pub fn number32(u: &mut Unstructured<'_>, usual: u32) -> Result<u32> {
    Ok(number(u, usual.into())? as u32)
}

/// Once in `times`.
pub fn seldom(u: &mut Unstructured<'_>, times: u8) -> Result<bool> {
    Ok(!u.is_empty() && u.int_in_range(1..=times)? == times)
}

/// Up to `most` bytes.
pub fn bytes<'a>(u: &mut Unstructured<'a>, most: usize) -> Result<&'a [u8]> {
    let most = most.min(u.len());
    let length = u.int_in_range(0..=most)?;
    u.bytes(length.min(u.len()))
}

/// One of these names, or up to 300 bytes of any kind.
pub fn name<'a>(u: &mut Unstructured<'a>, usual: &[&'a [u8]]) -> Result<&'a [u8]> {
    match seldom(u, 10)? {
        true => bytes(u, 300),
        false => u.choose(usual).copied(),
    }
}
