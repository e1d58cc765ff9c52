//! How the times of single operations are spread.

use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{axis, drawing_of, px};
use crate::FigureResult;
use crate::html::class;
use crate::units::time;

/// Smaller than other charts: there is one for each operation.
const WIDTH: f64 = 320.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 32.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 120.0;

/// A line for each contender; `None` if nobody told more than the median.
pub(in crate::html) fn draw(id: &str, result: &FigureResult) -> Option<Markup> {
    let rows = result.rows.iter().filter(|it| it.quantiles_ns.len() > 1);
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let values = rows.iter().flat_map(|row| row.quantiles_ns.iter().copied());
    let scale = Scale::logarithmic(values, LEFT, RIGHT);
    let description = rows.iter().map(|row| {
        let quantiles = &row.quantiles_ns;
        format!(
            "{}: from {}, half of them within {}, to {}",
            row.of_runs.contender,
            time(quantiles[0]),
            time(quantiles[quantiles.len() / 2]),
            time(quantiles[quantiles.len() - 1]),
        )
    });
    let description = description.collect::<Vec<_>>().join("; ");
    Some(drawing_of(
        (WIDTH, BOTTOM + 26.0),
        id,
        &format!("Distribution of {}", result.figure),
        &format!("{description}."),
        html! {
            (axis(&scale, TOP, BOTTOM))
            @for percent in [0, 50, 100] {
                @let y = height(f64::from(percent) / 100.0);
                line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y)) y2=(px(y)) {}
                text.faint x=(px(LEFT - 6.0)) y=(px(y + 4.0)) text-anchor="end" { (percent) " %" }
            }
            @for row in &rows {
                g class=(class(row.of_runs.contender)) {
                    path.line d=(path(&row.quantiles_ns, &scale)) {}
                }
            }
        },
    ))
}

fn height(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

/// Through all quantiles, which are as far apart from each other.
fn path(quantiles: &[u64], scale: &Scale) -> String {
    let last = quantiles.len() as f64 - 1.0;
    let places = quantiles
        .iter()
        .enumerate()
        .map(|(index, &ns)| format!("{} {}", px(scale.at(ns)), px(height(index as f64 / last))));
    format!("M{}", places.collect::<Vec<_>>().join("L"))
}
