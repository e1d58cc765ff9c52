//! What of the filters was used.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use syscalls::x86_64::Sysno;
use vmm::jail::{Role, allowed};

use crate::trace::{Event, Record};

/// The name of a monitor's main thread, in whose record there is no role.
const MONITOR: &str = "jaula-monitor";

/// Something that a filter allows: a call, or a call with a certain argument.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub role: &'static str,
    pub call: i64,
    pub value: Option<u64>,
}

impl Right {
    /// The same of another role.
    pub fn of(self, role: Role) -> Self {
        Self {
            role: role.name(),
            ..self
        }
    }
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = usize::try_from(self.call).ok().and_then(Sysno::new);
        write!(f, "{}: {}", self.role, known.map_or("?", |it| it.name()))?;
        match self.value {
            Some(value) => write!(f, " with {value:#x}"),
            None => Ok(()),
        }
    }
}

/// All that the filters allow.
pub fn rights() -> BTreeSet<Right> {
    Role::ALL.into_iter().flat_map(rights_of).collect()
}

fn rights_of(role: Role) -> impl Iterator<Item = Right> {
    allowed(role).flat_map(move |allowed| {
        let right = move |value| Right {
            role: role.name(),
            call: allowed.number,
            value,
        };
        match allowed.values {
            Some((_, values)) => values.iter().map(|it| right(Some(*it))).collect(),
            None => vec![right(None)],
        }
    })
}

/// A task, with the filters that decide about its calls: its own, and those of who started it.
#[derive(Clone, Default)]
struct Task {
    name: String,
    filters: Vec<Role>,
}

/// What monitors used of what they may.
///
/// # Panics
///
/// When one made a call that its filter does not allow, and lives: then it was not seen what it is.
pub fn used(records: &[Record]) -> BTreeSet<Right> {
    let mut tasks = HashMap::<u32, Task>::new();
    let mut used = BTreeSet::new();
    for record in records {
        match &record.event {
            Event::Started { task } => {
                let parent = tasks.entry(record.task).or_default().clone();
                tasks.insert(*task, parent);
            }
            Event::Named { name } => tasks.entry(record.task).or_default().name.clone_from(name),
            Event::Call { number, arguments } => {
                let Some(task) = tasks.get_mut(&record.task) else {
                    continue;
                };
                for role in &task.filters {
                    let mut matching = matching(*role, *number, arguments).peekable();
                    assert!(
                        matching.peek().is_some(),
                        "{} made call {number}{arguments:x?} as {role:?}",
                        task.name
                    );
                    used.extend(matching);
                }
                if *number == libc::SYS_seccomp
                    && let Some(role) = role(&task.name)
                    && !task.filters.contains(&role)
                {
                    task.filters.push(role);
                }
            }
        }
    }
    used
}

/// What of its role's filter a call needs.
fn matching(role: Role, number: i64, arguments: &[u64; 6]) -> impl Iterator<Item = Right> {
    let of_call = allowed(role).filter(move |allowed| allowed.number == number);
    of_call.filter_map(move |allowed| {
        let value = match allowed.values {
            Some((place, values)) => {
                let argument = arguments[usize::from(place)] & 0xffff_ffff;
                Some(*values.iter().find(|value| **value == argument)?)
            }
            None => None,
        };
        Some(Right {
            role: role.name(),
            call: number,
            value,
        })
    })
}

/// That of a monitor's thread of this name; processors but the first have numbers.
fn role(name: &str) -> Option<Role> {
    let name = match name.trim_end_matches(|it: char| it.is_ascii_digit()) {
        MONITOR => "main",
        name => name,
    };
    Role::ALL.into_iter().find(|role| role.name() == name)
}
