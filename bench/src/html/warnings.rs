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
                    @for warning in &comparison.warnings {
                        dt { code { (warning.id) } }
                        dd {
                            (warning.detail) "."
                            @if let Some(mistake) = MISTAKES.iter().find(|it| it.id == warning.id) {
                                br; small { (mistake.name) ": " (mistake.explanation) "." }
                            }
                        }
                    }
                }
            }
        }
    }
}
