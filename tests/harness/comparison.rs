//! What `jaula compare --json` says.

use bench::Comparison;

use super::schema::assert_fits_the_schema;
use super::{Seen, World};

/// What comes of a comparison with these arguments, which has to work and to leave nothing behind.
pub fn compared<'a>(world: &World, args: impl IntoIterator<Item = &'a str>) -> Comparison {
    let seen = world.run(["compare", "--json"].into_iter().chain(args));
    assert_eq!(seen.code, Some(0), "{}", complaint(&seen));
    world.assert_no_traces();
    assert_fits_the_schema(&seen.stdout);
    serde_json::from_slice(&seen.stdout).unwrap()
}

/// What one that has not worked says of it.
fn complaint(seen: &Seen) -> String {
    let told: Option<Comparison> = serde_json::from_slice(&seen.stdout).ok();
    let outcomes = told.map(|it| it.ways.as_ref().into_array().map(|way| way.outcome.clone()));
    format!("{}{outcomes:?}", seen.stderr)
}
