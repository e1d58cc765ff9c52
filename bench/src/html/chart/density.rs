//! What so many instances have taken of the host's memory.

use maud::{Markup, html};

use super::plane::{Plane, Point};
use super::svg::drawing;
use crate::html::class;
use crate::load::{Density, DensityOfWay};
use crate::table::load::in_words;
use crate::units::signed_size;

const BOTTOM: f64 = 230.0;

/// A line for each way; `None` if none got further than to its beginning.
pub(in crate::html) fn draw(id: &str, density: &Density) -> Option<Markup> {
    let ways = density.ways.iter().filter(|way| way.steps.len() > 1);
    let ways: Vec<_> = ways.collect();
    let most_instances = ways.iter().map(|way| way.ran).max()?;
    let all = ways.iter().flat_map(|way| taken(way).chain(charged(way)));
    let plane = Plane::holding(most_instances as f64, all, BOTTOM);
    let description = ways.iter();
    let description =
        description.map(|way| format!("{}: {}", way.contender, in_words(way, density.asked)));
    let description: Vec<_> = description.collect();
    Some(drawing(
        id,
        plane.height(),
        "Memory taken by many instances",
        &format!("{}.", description.join("; ")),
        html! {
            (plane.grid("", "instances"))
            @for way in &ways {
                g class=(class(way.contender)) {
                    (plane.line(taken(way), false))
                    @if charged(way).count() > 1 { (plane.line(charged(way), true)) }
                    @for (step, point) in way.steps.iter().zip(taken(way)) {
                        @let memory = signed_size(way.taken_bytes(step));
                        (plane.dot(point, &format!("{}, {} instances: {memory}", way.contender, step.instances)))
                    }
                }
            }
        },
    ))
}

/// How many ran, and what they had taken.
fn taken(way: &DensityOfWay) -> impl Iterator<Item = Point> {
    way.steps
        .iter()
        .map(|step| (step.instances as f64, way.taken_bytes(step) as f64))
}

/// How many ran, and what they were charged.
fn charged(way: &DensityOfWay) -> impl Iterator<Item = Point> {
    way.steps
        .iter()
        .filter_map(|step| Some((step.instances as f64, step.charged_bytes? as f64)))
}
