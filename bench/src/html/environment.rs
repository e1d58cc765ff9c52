//! Where the figures were taken.

use maud::{Markup, html};
use serde_json::Value;

use crate::units::size;
use crate::{Environment, WorkloadFacts};

pub(super) fn section(environment: &Environment) -> Markup {
    html! {
        section aria-labelledby="environment" {
            h2 #environment { "Where this was measured" }
            p.note { "Figures of another machine, kernel or version are other figures." }
            dl {
                (facts("", &without_floors(environment)))
            }
        }
    }
}

/// What held for one workload.
pub(super) fn conditions(workload: &WorkloadFacts) -> Markup {
    let cpus = workload.cpu_limit_milli_cpus;
    html! {
        p.note {
            "Limits: memory " (limit(workload.memory_limit_bytes.map(size)))
            ", CPUs " (limit(cpus.map(|cpus| (f64::from(cpus) / 1e3).to_string())))
            ", processes " (limit(workload.pids_limit.map(|pids| pids.to_string())))
            @for further in &workload.further_limits { ", " (further) }
            ". Image: " code { (workload.root_digest) } "."
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
