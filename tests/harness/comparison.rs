//! What `jaula compare --json` says.

use bench::Comparison;

use super::World;
use super::schema::assert_fits_the_schema;

/// What comes of a comparison with these arguments, which has to work and to leave nothing behind.
pub fn compared<'a>(world: &World, args: impl IntoIterator<Item = &'a str>) -> Comparison {
    let seen = world.run(["compare", "--json"].into_iter().chain(args));
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    world.assert_no_traces();
    assert_fits_the_schema(&seen.stdout);
    serde_json::from_slice(&seen.stdout).unwrap()
}
