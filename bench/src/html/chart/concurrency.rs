//! When each of those was there that were launched at once.

use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{LINE, WIDTH, axis, drawing, px};
use crate::html::class;
use crate::load::{Concurrency, ConcurrencyOfWay};
use crate::units::time;

const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 24.0;
const ROW: f64 = 44.0;
const TOP: f64 = 8.0;

/// A row for each way, a dot for each instance; `None` if none was there.
pub(in crate::html) fn draw(id: &str, concurrency: &Concurrency) -> Option<Markup> {
    let ways = concurrency.ways.iter().filter(|it| !it.each_ns.is_empty());
    let ways: Vec<_> = ways.collect();
    let values = ways.iter().flat_map(|way| {
        let each = way.each_ns.iter().copied();
        each.chain(way.all_there_ns)
    });
    values.clone().next()?;
    let scale = Scale::logarithmic(values, LEFT, RIGHT);
    let bottom = TOP + ways.len() as f64 * ROW;
    let description = ways.iter().filter_map(|way| {
        let half = time(way.summary?.p50);
        let all = way.all_there_ns.map(time);
        let all = all.map_or_else(String::new, |all| format!(", all after {all}"));
        Some(format!("{}: half within {half}{all}", way.contender))
    });
    let description: Vec<_> = description.collect();
    Some(drawing(
        id,
        bottom + LINE + 6.0,
        "Launched at once",
        &format!("{}.", description.join("; ")),
        html! {
            (axis(&scale, TOP, bottom))
            @for (row, way) in ways.iter().enumerate() {
                (one(way, TOP + (row as f64 + 0.5) * ROW, &scale))
            }
        },
    ))
}

fn one(way: &ConcurrencyOfWay, middle: f64, scale: &Scale) -> Markup {
    html! {
        text x=(px(LEFT - 10.0)) y=(px(middle + 4.0)) text-anchor="end" { (way.contender) }
        g class=(class(way.contender)) {
            @for &ns in &way.each_ns {
                circle.dot cx=(px(scale.at(ns))) cy=(px(middle)) r="4" {
                    title { (way.contender) ", " (time(ns)) }
                }
            }
            @if let Some(ns) = way.all_there_ns {
                path.line d=(format!("M{} {}V{}", px(scale.at(ns)), px(middle - 12.0), px(middle + 12.0))) {}
            }
        }
    }
}
