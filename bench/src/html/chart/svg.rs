//! What all charts are made of.

use maud::{Markup, html};

use super::scale::{Scale, time_label};

/// The width of a chart, in its own units; the page stretches it.
pub(super) const WIDTH: f64 = 480.0;

/// How wide a character and how high a line is at most: on a phone, where text is largest beside the
/// rest (the style sheet has its sizes).
pub(super) const CHARACTER: f64 = 8.8;
pub(super) const LINE: f64 = 19.0;

/// A drawing with a name and a description, for those who don't see it.
pub(super) fn drawing(
    id: &str,
    height: f64,
    title: &str,
    description: &str,
    content: Markup,
) -> Markup {
    drawing_of((WIDTH, height), id, title, description, content)
}

/// The same of another size.
pub(super) fn drawing_of(
    (width, height): (f64, f64),
    id: &str,
    title: &str,
    description: &str,
    content: Markup,
) -> Markup {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}")) role="img"
            aria-labelledby=(format!("{id}-title {id}-description")) {
            title id=(format!("{id}-title")) { (title) }
            desc id=(format!("{id}-description")) { (description) }
            (content)
        }
    }
}

/// A horizontal axis of time below `top..bottom`, with lines up to the top.
pub(super) fn axis(scale: &Scale, top: f64, bottom: f64) -> Markup {
    axis_of(scale, top, bottom, time_label)
}

/// The same of something else, which `label` writes.
pub(super) fn axis_of(
    scale: &Scale,
    top: f64,
    bottom: f64,
    label: impl Fn(u64) -> String,
) -> Markup {
    html! {
        @for tick in scale.ticks(label) {
            line.grid x1=(px(tick.at)) x2=(px(tick.at)) y1=(px(top)) y2=(px(bottom)) {}
            text.faint x=(px(tick.at)) y=(px(bottom + LINE)) text-anchor="middle" { (tick.label) }
        }
    }
}

/// A place in a drawing: tenths are fine enough.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}
