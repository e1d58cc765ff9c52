//! What an instance takes of the host's disks.

use maud::{Markup, html};

use super::{id, named};
use crate::units::size;
use crate::{Comparison, Contender, DiskUse, OwnDisk};

/// The heads of the rows.
const ROWS: [&str; 6] = [
    "the image, once for all instances of it",
    "jaula's program, guest kernel and init, once for all",
    "the template, once for all like it",
    "its own, at main",
    "its own, at the end of the run",
    "written to volumes meanwhile",
];

pub(super) fn section(key: &str, comparison: &Comparison) -> Markup {
    let columns: Vec<(Contender, &DiskUse)> = comparison
        .ways
        .as_ref()
        .into_array()
        .into_iter()
        .filter_map(|report| Some((report.way.into(), report.disk.as_ref()?)))
        .collect();
    let is_in_memory = columns.iter().any(|(_, disk)| {
        let own = disk.own.as_ref();
        own.and_then(|it| it.file_system.as_deref()) == Some("tmpfs")
    });
    html! {
        @if !columns.is_empty() {
            section aria-labelledby=(id(key, "disk")) {
                h3.part id=(id(key, "disk")) { "What it takes of the host's disks" }
                div.wide { table {
                    thead { tr {
                        th scope="col" { "" }
                        @for (contender, _) in &columns { th.number scope="col" { (named(*contender)) } }
                    } }
                    tbody { @for (index, row) in ROWS.into_iter().enumerate() { tr {
                        th scope="row" { (row) }
                        @for (_, disk) in &columns { td.number { (cells(disk)[index]) } }
                    } } }
                } }
                p.note {
                    "Blocks that are allocated, of the run that was checked. What a command writes to its root or to a tmpfs is in memory, and so in its footprint, not here."
                    @if is_in_memory { " Its own is on a tmpfs here, which is memory, too." }
                }
            }
        }
    }
}

fn cells(disk: &DiskUse) -> [String; 6] {
    let own = |bytes: fn(&OwnDisk) -> u64| {
        let own = disk.own.as_ref();
        own.map_or_else(|| "not known".into(), |it| size(bytes(it)))
    };
    [
        size(disk.image_bytes),
        size(disk.fixed_bytes),
        disk.template_bytes.map_or_else(|| "none".into(), size),
        own(|it| it.at_start_bytes),
        own(|it| it.at_end_bytes),
        own(OwnDisk::written_to_volumes_bytes),
    ]
}
