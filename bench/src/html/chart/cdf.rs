//! How many of the runs took at most how long.

use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{WIDTH, axis, drawing, px};
use crate::Metric;
use crate::html::class;
use crate::html::series::Drawn;
use crate::units::time;

const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 170.0;

/// A stair for each.
pub(in crate::html) fn draw(id: &str, drawn: &[Drawn<'_>], metric: Metric) -> Markup {
    let all: Vec<_> = drawn
        .iter()
        .map(|it| (it.contender, it.values(metric)))
        .collect();
    let values = all.iter().flat_map(|(_, values)| values.iter().copied());
    let scale = Scale::logarithmic(values, LEFT, RIGHT);
    let description: Vec<_> = all
        .iter()
        .filter_map(|(contender, values)| {
            let median = *values.get((values.len().checked_sub(1)?) / 2)?;
            Some(format!(
                "half of the runs of {contender} within {}",
                time(median)
            ))
        })
        .collect();
    drawing(
        id,
        BOTTOM + 28.0,
        &format!("Distribution of {metric}"),
        &format!("{}.", description.join("; ")),
        html! {
            (axis(&scale, TOP, BOTTOM))
            @for percent in [0, 50, 100] {
                line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(height(percent as f64 / 100.0))) y2=(px(height(percent as f64 / 100.0))) {}
                text.faint x=(px(LEFT - 8.0)) y=(px(height(percent as f64 / 100.0) + 4.0)) text-anchor="end" { (percent) " %" }
            }
            @for (contender, values) in &all {
                @if !values.is_empty() {
                    g class=(class(*contender)) {
                        path.line d=(stair(values, &scale)) {}
                    }
                }
            }
        },
    )
}

fn height(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

fn stair(values: &[u64], scale: &Scale) -> String {
    let count = values.len() as f64;
    let mut path = format!("M{} {}", px(scale.at(values[0])), px(height(0.0)));
    for (index, &value) in values.iter().enumerate() {
        let share = (index + 1) as f64 / count;
        path += &format!("H{}V{}", px(scale.at(value)), px(height(share)));
    }
    path
}
