//! What instances were charged after their command had freed its memory.

use maud::{Markup, html};

use super::axis::Axis;
use super::svg::{LINE, WIDTH, drawing, px};
use crate::html::class;
use crate::load::{Elasticity, ElasticityOfWay};
use crate::table::load::returned;

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 200.0;
const MIB: f64 = (1 << 20) as f64;

/// A line for each way; `None` if none got so far.
pub(in crate::html) fn draw(id: &str, elasticity: &Elasticity) -> Option<Markup> {
    let ways = elasticity.ways.iter().filter(|way| !way.held.is_empty());
    let ways: Vec<_> = ways.collect();
    let points = ways.iter().flat_map(|way| points(way));
    let (mut longest, mut most) = (0.0, 0.0);
    for (seconds, mib) in points {
        longest = f64::max(longest, seconds);
        most = f64::max(most, mib);
    }
    if ways.is_empty() {
        return None;
    }
    let (seconds, mib) = (Axis::to(longest.floor()), Axis::to(most));
    let x = |value: f64| LEFT + value / seconds.end * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - value / mib.end * (BOTTOM - TOP);
    let path = |way: &ElasticityOfWay| {
        let places = self::points(way);
        let places = places.map(|(after, held)| format!("{} {}", px(x(after)), px(y(held))));
        format!("M{}", places.collect::<Vec<_>>().join("L"))
    };
    let description = ways.iter();
    let description = description.map(|way| format!("{}: {}", way.contender, returned(way)));
    let description: Vec<_> = description.collect();
    Some(drawing(
        id,
        BOTTOM + 2.0 * LINE + 6.0,
        "Memory charged after it was freed",
        &format!("{}.", description.join("; ")),
        html! {
            @for value in mib.marks() {
                line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y(value))) y2=(px(y(value))) {}
                text.faint x=(px(LEFT - 8.0)) y=(px(y(value) + 4.0)) text-anchor="end" { (value) " MiB" }
            }
            @for value in seconds.marks() {
                text.faint x=(px(x(value))) y=(px(BOTTOM + LINE)) text-anchor="middle" { (value) " s" }
            }
            text.faint x=(px((LEFT + RIGHT) / 2.0)) y=(px(BOTTOM + 2.0 * LINE)) text-anchor="middle" { "since the command freed it" }
            @for way in &ways {
                g class=(class(way.contender)) {
                    path.line d=(path(way)) {}
                    circle.dot cx=(px(x(0.0))) cy=(px(y(way.most_bytes.unwrap_or_default() as f64 / MIB))) r="3.5" {
                        title { (way.contender) ", the most" }
                    }
                }
            }
        },
    ))
}

/// Seconds since it was freed, and MiB: the most at the beginning.
fn points(way: &ElasticityOfWay) -> impl Iterator<Item = (f64, f64)> {
    let most = way.most_bytes.map(|bytes| (0.0, bytes as f64 / MIB));
    let held = way.held.iter().map(|held| {
        let seconds = held.after_ns as f64 / 1e9;
        (seconds, held.charged_bytes as f64 / MIB)
    });
    most.into_iter().chain(held)
}
