//! `jaula ps`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench::visible;
use host::instances::{Found, State};
use serde::Serialize;

use super::World;
use super::duration::roughly;
use super::endpoint;
use crate::args::{Filter, Format, PsArgs, StateName};
use crate::error::Error;
use crate::{date, listing, output};

/// How much of a command is shown: docker's, too.
const MAX_COMMAND_CHARS: usize = 20;

/// Lists the instances, the newest first.
pub fn ps(args: &PsArgs) -> Result<u8, Error> {
    let world = World::open()?;
    let all = world.instances.list().map_err(super::Failure::from)?;
    let now = SystemTime::now();
    let rows: Vec<_> = all
        .iter()
        .map(|found| Row::new(found, world.is_paused(found), now))
        .filter(|row| row.is_listed(args))
        .collect();
    let text = match (args.quiet, args.format) {
        (true, _) => lines(rows.iter().map(|row| row.found.record.id.clone())),
        (false, Format::Json) => {
            let rows = rows.iter().map(|row| serde_json::to_string(&row.to_json()));
            lines(
                rows.collect::<Result<Vec<_>, _>>()
                    .map_err(launch::Error::new)?,
            )
        }
        (false, Format::Table) => table(&rows, args.no_trunc),
    };
    if !text.is_empty() {
        output::print(&text)?;
    }
    Ok(0)
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// What is listed of an instance.
struct Row<'a> {
    found: &'a Found,
    state: StateName,
    now: SystemTime,
}

impl<'a> Row<'a> {
    fn new(found: &'a Found, is_paused: bool, now: SystemTime) -> Self {
        let state = match &found.state {
            State::Ended(_) => StateName::Exited,
            State::Running if is_paused => StateName::Paused,
            State::Running => StateName::Running,
        };
        Self { found, state, now }
    }

    /// As docker has it: one of the names, IDs and states that are given, and all labels. With a
    /// state, those that have ended are looked at, too.
    fn is_listed(&self, args: &PsArgs) -> bool {
        let record = &self.found.record;
        let mut any: [Option<bool>; 4] = [None; 4];
        let mut labels = true;
        for filter in &args.filter {
            let (group, fits) = match filter {
                Filter::Name(part) => (0, record.name.contains(part)),
                Filter::Id(beginning) => (1, record.id.starts_with(beginning)),
                Filter::Status(state) => (2, self.state == *state),
                Filter::Exited(code) => (3, self.exit_code() == Some(*code)),
                Filter::Label(name, value) => {
                    let found = record.asked.labels.get(name);
                    labels &= found
                        .is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                    continue;
                }
            };
            if let Some(any) = any.get_mut(group) {
                *any = Some(any.unwrap_or(false) || fits);
            }
        }
        let asks_for_state = any[2].is_some() || any[3].is_some();
        labels
            && any.iter().all(|fits| fits.unwrap_or(true))
            && (args.all || asks_for_state || self.state != StateName::Exited)
    }

    fn exit_code(&self) -> Option<u8> {
        match &self.found.state {
            State::Running => None,
            State::Ended(status) => Some(status.exit_code),
        }
    }

    fn since(&self, unix_ns: u64) -> String {
        let then = UNIX_EPOCH + Duration::from_nanos(unix_ns);
        // A clock that was set back is one that stood still.
        roughly(self.now.duration_since(then).unwrap_or_default())
    }

    fn status(&self) -> String {
        let record = &self.found.record;
        match &self.found.state {
            State::Running if self.state == StateName::Paused => {
                format!("Up {} (Paused)", self.since(record.created_unix_ns))
            }
            State::Running => format!("Up {}", self.since(record.created_unix_ns)),
            State::Ended(status) => format!(
                "Exited ({}) {} ago",
                status.exit_code,
                self.since(status.finished_unix_ns)
            ),
        }
    }

    fn command(&self, no_trunc: bool) -> String {
        let argv = &self.found.record.asked.command.argv;
        let words: Vec<_> = argv.iter().map(ToString::to_string).collect();
        let mut command = words.join(" ");
        if !no_trunc && command.chars().count() > MAX_COMMAND_CHARS {
            command = command.chars().take(MAX_COMMAND_CHARS - 1).collect();
            command.push('…');
        }
        // What others have chosen must not move the cursor.
        format!("\"{}\"", visible(&command))
    }

    fn to_json(&self) -> Json<'_> {
        let record = &self.found.record;
        let labels: Vec<_> = record
            .asked
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Json {
            id: &record.id,
            names: &record.name,
            side: record.asked.side.to_string(),
            image: &record.asked.image,
            command: self.command(true),
            created_at: date::utc(record.created_unix_ns / 1_000_000_000),
            running_for: format!("{} ago", self.since(record.created_unix_ns)),
            state: self.state.as_str(),
            status: self.status(),
            ports: endpoint::listed(self.found),
            labels: labels.join(","),
        }
    }
}

/// docker's keys.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Json<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    names: &'a str,
    side: String,
    image: &'a str,
    command: String,
    created_at: String,
    running_for: String,
    state: &'static str,
    status: String,
    ports: String,
    labels: String,
}

fn table(rows: &[Row<'_>], no_trunc: bool) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let record = &row.found.record;
            [
                record.id.clone(),
                record.asked.side.to_string(),
                visible(&record.asked.image),
                row.command(no_trunc),
                format!("{} ago", row.since(record.created_unix_ns)),
                row.status(),
                endpoint::listed(row.found),
                record.name.clone(),
            ]
        })
        .collect();
    let heads = [
        "INSTANCE ID",
        "SIDE",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ];
    listing::render(heads, &rows)
}
