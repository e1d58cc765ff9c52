//! The mistakes that a reader should think of.

use maud::{Markup, html};

use super::id;
use crate::Comparison;
use crate::warnings::MISTAKES;

pub(super) fn section(key: &str, comparison: &Comparison) -> Markup {
    html! {
        @if !comparison.warnings.is_empty() {
            section aria-labelledby=(id(key, "warnings")) {
                h3.part id=(id(key, "warnings")) { "Read these figures with care" }
                dl {
                    @for same in comparison.warnings.chunk_by(|one, next| one.id == next.id) {
                        @let id = &same[0].id;
                        dt {
                            code { (id) }
                            @if let Some(mistake) = MISTAKES.iter().find(|it| it.id == *id) { " " (mistake.name) }
                        }
                        dd {
                            @for warning in same { (warning.detail) "." br; }
                            @if let Some(mistake) = MISTAKES.iter().find(|it| it.id == *id) {
                                small { "Why it matters: " (mistake.explanation) "." }
                            }
                        }
                    }
                }
            }
        }
    }
}
