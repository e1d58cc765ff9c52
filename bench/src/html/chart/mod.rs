//! Charts in SVG, one in each file.

mod axis;
pub(super) mod cdf;
pub(super) mod concurrency;
pub(super) mod density;
pub(super) mod distribution;
pub(super) mod elasticity;
pub(super) mod footprint;
pub(super) mod operations;
pub(super) mod order;
mod plane;
mod scale;
mod svg;
pub(super) mod timeline;
