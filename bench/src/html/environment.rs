//! Where the figures were taken.

use maud::{Markup, html};
use serde_json::Value;

use crate::units::size;
use crate::{Comparison, Environment};

pub(super) fn section(comparison: &Comparison) -> Markup {
    html! {
        section aria-labelledby="environment" {
            h2 #environment { "Where this was measured" }
            p.note { "Figures of another machine, kernel or version are other figures." }
            dl {
                (facts("", &without_floors(&comparison.environment)))
                (fact("image digest", &comparison.workload.root_digest))
                (fact("memory limit", &limit(comparison.workload.memory_limit_bytes.map(size))))
                (fact("CPU limit", &limit(comparison.workload.cpu_limit_milli_cpus.map(|cpus| (f64::from(cpus) / 1e3).to_string()))))
                (fact("process limit", &limit(comparison.workload.pids_limit.map(|pids| pids.to_string()))))
            }
        }
    }
}

/// Those have a section of their own.
fn without_floors(environment: &Environment) -> Value {
    let mut facts = serde_json::to_value(environment).unwrap_or_default();
    if let Value::Object(facts) = &mut facts {
        facts.remove("floors");
    }
    facts
}

fn limit(limit: Option<String>) -> String {
    limit.unwrap_or_else(|| "none".into())
}

/// All that is known, also what this program's next version will know.
fn facts(name: &str, value: &Value) -> Markup {
    html! {
        @match value {
            Value::Object(fields) => {
                @for (field, value) in fields {
                    (facts(&[name, &field.replace('_', " ")].join(" "), value))
                }
            }
            Value::Array(values) => {
                (fact(name, &values.iter().map(text).collect::<Vec<_>>().join(", ")))
            }
            value => (fact(name, &text(value)))
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "not known".into(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Object(fields) => fields.values().map(text).collect::<Vec<_>>().join(" "),
        value => value.to_string(),
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { dt { (name.trim()) } dd { (value) } }
}
