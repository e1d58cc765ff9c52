//! Memory over something that is counted: a grid, and places in it.

use maud::{Markup, html};

use super::axis::Axis;
use super::svg::{LINE, WIDTH, px};

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 16.0;
const MIB: f64 = (1 << 20) as f64;

/// From zero on to what is counted to the right, and to MiB upwards.
pub(super) struct Plane {
    counted: Axis,
    mib: Axis,
    bottom: f64,
}

/// What is counted, and how much memory there is, in bytes: below zero is drawn at zero.
pub(super) type Point = (f64, f64);

impl Plane {
    /// Up to `most` of what is counted, and so high that each point is in it.
    pub fn holding(most: f64, points: impl Iterator<Item = Point>, bottom: f64) -> Self {
        let most_bytes = points.map(|(_, bytes)| bytes).fold(MIB, f64::max);
        Self {
            counted: Axis::to(most),
            mib: Axis::to(most_bytes / MIB),
            bottom,
        }
    }

    /// How high a drawing of it is.
    pub fn height(&self) -> f64 {
        self.bottom + 2.0 * LINE + 6.0
    }

    fn x(&self, counted: f64) -> f64 {
        LEFT + counted / self.counted.end * (RIGHT - LEFT)
    }

    fn y(&self, mib: f64) -> f64 {
        self.bottom - mib.max(0.0) / self.mib.end * (self.bottom - TOP)
    }

    /// Lines at round numbers, with what is counted below them, each number with its `unit`.
    pub fn grid(&self, unit: &str, what: &str) -> Markup {
        html! {
            @for value in self.mib.marks() {
                line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(self.y(value))) y2=(px(self.y(value))) {}
                text.faint x=(px(LEFT - 8.0)) y=(px(self.y(value) + 4.0)) text-anchor="end" { (value) " MiB" }
            }
            @for value in self.counted.marks() {
                text.faint x=(px(self.x(value))) y=(px(self.bottom + LINE)) text-anchor="middle" { (value) (unit) }
            }
            text.faint x=(px((LEFT + RIGHT) / 2.0)) y=(px(self.bottom + 2.0 * LINE)) text-anchor="middle" { (what) }
        }
    }

    /// From each point to the next.
    pub fn line(&self, points: impl Iterator<Item = Point>, is_dashed: bool) -> Markup {
        let place = |(counted, bytes): Point| {
            let (x, y) = (self.x(counted), self.y(bytes / MIB));
            format!("{} {}", px(x), px(y))
        };
        let places: Vec<_> = points.map(place).collect();
        html! { path.line.dashed[is_dashed] d=(format!("M{}", places.join("L"))) {} }
    }

    /// A point by itself, with its name.
    pub fn dot(&self, (counted, bytes): Point, name: &str) -> Markup {
        let (x, y) = (self.x(counted), self.y(bytes / MIB));
        html! { circle.dot cx=(px(x)) cy=(px(y)) r="3.5" { title { (name) } } }
    }
}
