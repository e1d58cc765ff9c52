//! What so many instances have taken of the host's memory.

use maud::{Markup, html};

use super::axis::Axis;
use super::svg::{LINE, WIDTH, drawing, px};
use crate::html::class;
use crate::load::{Density, DensityOfWay};
use crate::table::load::in_words;

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 230.0;
const MIB: f64 = (1 << 20) as f64;

/// A line for each way; `None` if none got further than to its beginning.
pub(in crate::html) fn draw(id: &str, density: &Density) -> Option<Markup> {
    let ways = density.ways.iter().filter(|way| way.steps.len() > 1);
    let ways: Vec<_> = ways.collect();
    let most_instances = ways.iter().map(|way| way.ran).max()?;
    let most_mib = ways
        .iter()
        .flat_map(|way| points(way).chain(charged(way)))
        .map(|(_, mib)| mib)
        .fold(1.0, f64::max);
    let (instances, mib) = (Axis::to(most_instances as f64), Axis::to(most_mib));
    let x = |count: f64| LEFT + count / instances.end * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - value.max(0.0) / mib.end * (BOTTOM - TOP);
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        let places = points.map(|(count, value)| format!("{} {}", px(x(count)), px(y(value))));
        format!("M{}", places.collect::<Vec<_>>().join("L"))
    };
    let description = ways.iter();
    let description =
        description.map(|way| format!("{}: {}", way.contender, in_words(way, density.asked)));
    let description: Vec<_> = description.collect();
    Some(drawing(
        id,
        BOTTOM + 2.0 * LINE + 6.0,
        "Memory taken by many instances",
        &format!("{}.", description.join("; ")),
        html! {
            @for value in mib.marks() {
                line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y(value))) y2=(px(y(value))) {}
                text.faint x=(px(LEFT - 8.0)) y=(px(y(value) + 4.0)) text-anchor="end" { (value) " MiB" }
            }
            @for count in instances.marks() {
                text.faint x=(px(x(count))) y=(px(BOTTOM + LINE)) text-anchor="middle" { (count) }
            }
            text.faint x=(px((LEFT + RIGHT) / 2.0)) y=(px(BOTTOM + 2.0 * LINE)) text-anchor="middle" { "instances" }
            @for way in &ways {
                g class=(class(way.contender)) {
                    path.line d=(path(&mut points(way))) {}
                    @if charged(way).count() > 1 { path.line.dashed d=(path(&mut charged(way))) {} }
                    @for (count, value) in points(way) {
                        circle.dot cx=(px(x(count))) cy=(px(y(value))) r="3.5" {
                            title { (way.contender) ", " (count) " instances: " (format!("{value:.1}")) " MiB" }
                        }
                    }
                }
            }
        },
    ))
}

/// How many ran, and what they had taken in MiB.
fn points(way: &DensityOfWay) -> impl Iterator<Item = (f64, f64)> {
    way.steps
        .iter()
        .map(|step| (step.instances as f64, way.taken_bytes(step) as f64 / MIB))
}

/// How many ran, and what they were charged in MiB.
fn charged(way: &DensityOfWay) -> impl Iterator<Item = (f64, f64)> {
    way.steps
        .iter()
        .filter_map(|step| Some((step.instances as f64, step.charged_bytes? as f64 / MIB)))
}
