//! Reported figures: a row for each, with a lane for each contender.

use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{LINE, WIDTH, axis, axis_of, drawing, px};
use crate::html::class;
use crate::units::{three_digits, time};
use crate::{Contender, FigureResult, FigureRow};

const LEFT: f64 = 24.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 0.0;
const LANE: f64 = 11.0;

/// Between two rows.
const GAP: f64 = 8.0;

/// One lane of one row.
struct Mark {
    contender: Contender,
    /// Where it begins, and where it ends if it is not a point, as the scale has it.
    from: u64,
    to: Option<u64>,
    title: String,
}

/// A row: the name of the figure, and its marks.
type Row<'a> = (&'a str, Vec<Mark>);

/// How many times as long as for what it is held against each operation takes; `None` if nothing is
/// held against anything.
pub(in crate::html) fn ratios(id: &str, figures: &[FigureResult]) -> Option<Markup> {
    let mark = |row: &FigureRow| {
        let against = row.of_runs.against.as_ref()?;
        let ratio = against.comparison.ratio?;
        Some(Mark {
            contender: row.of_runs.contender,
            from: thousandths(ratio),
            to: None,
            title: format!(
                "{}: {} times the {}",
                row.of_runs.contender,
                three_digits(ratio),
                against.reference
            ),
        })
    };
    let rows = rows(figures, mark)?;
    // One time as long is on the axis, whatever the others are.
    let values = values(&rows).chain([thousandths(1.0)]);
    let scale = Scale::logarithmic(values, LEFT, RIGHT);
    let bottom = bottom(&rows);
    Some(drawing(
        id,
        bottom + 28.0,
        "Reported operations as ratios",
        &description(&rows),
        html! {
            (axis_of(&scale, TOP, bottom, times))
            line.one x1=(px(scale.at(1000))) x2=(px(scale.at(1000))) y1=(px(TOP)) y2=(px(bottom)) {}
            (lanes(&rows, &scale))
        },
    ))
}

/// From the median to the 99th percentile of each operation; `None` without any.
pub(in crate::html) fn latencies(id: &str, figures: &[FigureResult]) -> Option<Markup> {
    let mark = |row: &FigureRow| {
        let p50_ns = row.of_runs.summary?.p50;
        let tail = row.p99_ns.map_or_else(
            || "too few values for p99".to_owned(),
            |ns| format!("p99 {}", time(ns)),
        );
        Some(Mark {
            contender: row.of_runs.contender,
            from: p50_ns,
            // Both are medians of runs: nothing keeps them in order.
            to: row.p99_ns.map(|ns| ns.max(p50_ns)),
            title: format!("{}: p50 {}, {tail}", row.of_runs.contender, time(p50_ns)),
        })
    };
    let rows = rows(figures, mark)?;
    let scale = Scale::logarithmic(values(&rows), LEFT, RIGHT);
    let bottom = bottom(&rows);
    Some(drawing(
        id,
        bottom + 28.0,
        "Times of reported operations",
        &description(&rows),
        html! {
            (axis(&scale, TOP, bottom))
            (lanes(&rows, &scale))
        },
    ))
}

fn rows(
    figures: &[FigureResult],
    mark: impl Fn(&FigureRow) -> Option<Mark>,
) -> Option<Vec<Row<'_>>> {
    let rows = figures.iter().map(|result| {
        let marks: Vec<_> = result.rows.iter().filter_map(&mark).collect();
        (result.figure.as_str(), marks)
    });
    let rows: Vec<_> = rows.filter(|(_, marks)| !marks.is_empty()).collect();
    (!rows.is_empty()).then_some(rows)
}

fn values<'a>(rows: &'a [Row<'a>]) -> impl Iterator<Item = u64> + Clone + 'a {
    let marks = rows.iter().flat_map(|(_, marks)| marks);
    marks.flat_map(|mark| [Some(mark.from), mark.to].into_iter().flatten())
}

fn lanes(rows: &[Row<'_>], scale: &Scale) -> Markup {
    let tops = rows.iter().scan(TOP + GAP / 2.0, |top, row| {
        let this = *top;
        *top += height(row) + GAP;
        Some(this)
    });
    html! {
        @for ((name, marks), top) in rows.iter().zip(tops) {
            text x="0" y=(px(top + LINE - 6.0)) { (name) }
            @for (lane, mark) in marks.iter().enumerate() {
                @let middle = top + LINE + (lane as f64 + 0.5) * LANE;
                g class=(class(mark.contender)) {
                    title { (name) ", " (mark.title) }
                    @if let Some(to) = mark.to {
                        path.line d=(format!("M{} {m}H{}M{} {}V{}", px(scale.at(mark.from)), px(scale.at(to)), px(scale.at(to)), px(middle - 4.0), px(middle + 4.0), m = px(middle))) {}
                    }
                    circle.dot cx=(px(scale.at(mark.from))) cy=(px(middle)) r="4.5" {}
                }
            }
        }
    }
}

fn height((_, marks): &Row<'_>) -> f64 {
    LINE + marks.len() as f64 * LANE
}

fn bottom(rows: &[Row<'_>]) -> f64 {
    TOP + rows.iter().map(|row| height(row) + GAP).sum::<f64>()
}

fn description(rows: &[Row<'_>]) -> String {
    let row = |(name, marks): &Row<'_>| {
        let titles: Vec<_> = marks.iter().map(|mark| mark.title.as_str()).collect();
        format!("{name}: {}", titles.join(", "))
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    format!("{}.", rows.join("; "))
}

/// A ratio as the scale has it, which knows whole numbers.
fn thousandths(ratio: f64) -> u64 {
    (ratio * 1000.0).round() as u64
}

/// A mark of its axis.
fn times(thousandths: u64) -> String {
    let ratio = thousandths as f64 / 1000.0;
    match thousandths {
        ..1_000_000 => format!("{ratio} ×"),
        1_000_000..1_000_000_000 => format!("{} k×", ratio / 1e3),
        _ => format!("{} M×", ratio / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_ratios_has_short_labels() {
        for (ratio, label) in [
            (0.5, "0.5 ×"),
            (1.0, "1 ×"),
            (200.0, "200 ×"),
            (1000.0, "1 k×"),
            (50_000.0, "50 k×"),
            (2e6, "2 M×"),
        ] {
            assert_eq!(times(thousandths(ratio)), label);
        }
    }
}
