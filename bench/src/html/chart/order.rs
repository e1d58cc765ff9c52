//! Every run in the order in which it was made.

use maud::{Markup, html};

use super::scale::{Scale, time_label};
use super::svg::{LINE, WIDTH, drawing, px};
use crate::Metric;
use crate::html::class;
use crate::html::series::Drawn;

const LEFT: f64 = 72.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 150.0;

/// A dot for each of `runs` runs that is drawn.
pub(in crate::html) fn draw(id: &str, drawn: &[Drawn<'_>], runs: usize) -> Markup {
    let values = drawn.iter().flat_map(|it| it.values(Metric::Main));
    let values: Vec<_> = values.collect();
    let scale = Scale::logarithmic(values.iter().copied(), BOTTOM, TOP);
    let across = |order: usize| {
        let share = (order as f64 + 0.5) / runs.max(1) as f64;
        LEFT + share * (WIDTH - 8.0 - LEFT)
    };
    drawing(
        id,
        BOTTOM + LINE + 6.0,
        "Runs in their order",
        &format!("{runs} runs from left to right, each at the height of its time to main."),
        html! {
            @for tick in scale.ticks(time_label) {
                line.grid x1=(px(LEFT)) x2=(px(WIDTH - 8.0)) y1=(px(tick.at)) y2=(px(tick.at)) {}
                text.faint x=(px(LEFT - 8.0)) y=(px(tick.at + 4.0)) text-anchor="end" { (tick.label) }
            }
            @for it in drawn {
                g class=(class(it.contender)) {
                    @for sample in &it.samples {
                        @match Metric::Main.of(sample) {
                            Some(ns) => circle.dot cx=(px(across(sample.order))) cy=(px(scale.at(ns))) r="3" {},
                            None => circle.failed cx=(px(across(sample.order))) cy=(px(BOTTOM)) r="3" {},
                        }
                    }
                }
            }
            text.faint x=(px(LEFT)) y=(px(BOTTOM + LINE)) { "first run" }
            text.faint x=(px(WIDTH - 8.0)) y=(px(BOTTOM + LINE)) text-anchor="end" { "last run" }
        },
    )
}
