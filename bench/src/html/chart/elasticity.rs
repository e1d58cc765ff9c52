//! What instances were charged after their command had freed its memory.

use maud::{Markup, html};

use super::plane::{Plane, Point};
use super::svg::drawing;
use crate::html::class;
use crate::load::{Elasticity, ElasticityOfWay};
use crate::table::load::returned;

const BOTTOM: f64 = 200.0;

/// A line for each way; `None` if none got so far.
pub(in crate::html) fn draw(id: &str, elasticity: &Elasticity) -> Option<Markup> {
    let ways = elasticity.ways.iter().filter(|way| !way.held.is_empty());
    let ways: Vec<_> = ways.collect();
    let all = ways.iter().flat_map(|way| points(way));
    let longest = all.clone().map(|(seconds, _)| seconds).reduce(f64::max)?;
    let plane = Plane::holding(longest.floor(), all, BOTTOM);
    let description = ways.iter();
    let description = description.map(|way| format!("{}: {}", way.contender, returned(way)));
    let description: Vec<_> = description.collect();
    Some(drawing(
        id,
        plane.height(),
        "Memory charged after it was freed",
        &format!("{}.", description.join("; ")),
        html! {
            (plane.grid(" s", "since the command freed it"))
            @for way in &ways {
                g class=(class(way.contender)) {
                    (plane.line(points(way), false))
                    @if let Some(most) = most(way) {
                        (plane.dot(most, &format!("{}, the most", way.contender)))
                    }
                }
            }
        },
    ))
}

/// The most, as of the moment when it was freed.
fn most(way: &ElasticityOfWay) -> Option<Point> {
    Some((0.0, way.most_bytes? as f64))
}

/// Seconds since it was freed, and what was charged then: the most at the beginning.
fn points(way: &ElasticityOfWay) -> impl Iterator<Item = Point> + Clone {
    let held = way.held.iter().map(|held| {
        let seconds = held.after_ns as f64 / 1e9;
        (seconds, held.charged_bytes as f64)
    });
    most(way).into_iter().chain(held)
}
