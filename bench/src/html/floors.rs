//! What the kernel takes at least, beside what we take.

use maud::{Markup, html};

use crate::floors::Floors;
use crate::units::time;

pub(super) fn section(floors: &Floors) -> Markup {
    html! {
        @if !floors.floors.is_empty() {
            section aria-labelledby="floors" {
                h2 #floors { "What the kernel takes at least" }
                p.note {
                    "No launcher can be quicker: a container is a process with namespaces of its own, "
                    "and a VM is made by KVM and left for each access to a device. "
                    "What a launch takes beyond that is its own work, or the guest kernel's."
                }
                @if let Some(measuring) = &floors.measuring {
                    p.note { (measuring) }
                }
                div.wide { table {
                    thead { tr { th scope="col" { "what" } th.number scope="col" { "times" } th.number scope="col" { "least" } th.number scope="col" { "p50" } } }
                    tbody {
                        @for floor in &floors.floors {
                            tr {
                                th scope="row" { (floor.what) }
                                td.number { (floor.times) }
                                td.number { (time(floor.least_ns)) }
                                td.number { (time(floor.p50_ns)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
