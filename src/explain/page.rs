//! What was seen, for a person.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

use bench::{time, visible};
use comfy_table::presets::NOTHING;
use comfy_table::{
    ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle, Width,
};
use launch::Side;
use tracer::Call;

use super::chapter::Chapter;
use super::language::{Language, Said};
use super::lessons::{self, Lesson};
use super::observed::Observed;

/// Narrower than this, one side comes after the other.
const SIDE_BY_SIDE_FROM: u16 = 100;

/// How many names of calls that are not explained are listed.
const OTHERS_LISTED: usize = 6;

/// As much of a call as is shown: a path in a cache takes most of a screen.
const LONGEST_CALL: usize = 160;

/// More hexadecimal digits than this in a row are those of a digest.
const DIGITS_OF_DIGEST: usize = 24;

/// How many of them are shown.
const DIGITS_SHOWN: usize = 8;

/// A rule under the heads and one down the middle.
const STYLE: TableStyle = NOTHING
    .header_separator(LineStyle::none().fill('─').junction('┼'))
    .header_lines(ContentLineStyle::none().junction('│'))
    .content_lines(ContentLineStyle::none().junction('│'));

/// All that is told.
pub struct Page {
    pub container: Observed,
    pub vm: Observed,
    pub language: Language,
}

/// What a kind of call did in a chapter.
struct Step<'a> {
    lesson: &'static Lesson,
    /// The first of its kind.
    first: &'a Call,
    /// Of its kind.
    calls: u32,
    duration_ns: u64,
}

impl Page {
    /// In lines of at most `width` characters.
    pub fn render(&self, width: u16) -> String {
        let mut text = String::new();
        for chapter in Chapter::ALL {
            let cells = [Side::Container, Side::Vm].map(|side| self.cell(side, chapter));
            if cells.iter().all(String::is_empty) {
                continue;
            }
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}\n", self.say(chapter.title()).to_uppercase());
            let heads = [Side::Container, Side::Vm].map(|side| self.head(side, chapter));
            let _ = writeln!(text, "{}\n", layout(heads, cells, width));
        }
        text.push_str(self.say(Said {
            en: "Times are with the watching: each call stops twice for it, which takes some microseconds \
                 each time, and on a busy machine more. jaula compare says what a launch takes without.",
            es: "Los tiempos incluyen la observación: cada llamada se detiene dos veces por ella, lo que cuesta \
                 unos microsegundos cada vez, y más en una máquina ocupada. jaula compare dice lo que tarda un arranque sin ella.",
        }));
        text
    }

    fn say(&self, said: Said) -> &'static str {
        said.in_language(self.language)
    }

    fn seen(&self, side: Side) -> &Observed {
        match side {
            Side::Container => &self.container,
            Side::Vm => &self.vm,
        }
    }

    fn head(&self, side: Side, chapter: Chapter) -> String {
        let name = self.say(match side {
            Side::Container => Said {
                en: "container",
                es: "contenedor",
            },
            Side::Vm => Said { en: "vm", es: "vm" },
        });
        match chapter.duration_ns(&self.seen(side).launch.timeline) {
            Some(duration_ns) => format!("{name}, {}", time(duration_ns)),
            None => name.to_owned(),
        }
    }

    fn cell(&self, side: Side, chapter: Chapter) -> String {
        let seen = self.seen(side);
        let timeline = &seen.launch.timeline;
        let mut paragraphs: Vec<String> = Vec::new();
        if let Some(remark) = chapter.remark(side) {
            paragraphs.push(self.say(remark).to_owned());
        }
        let mut steps: Vec<Step<'_>> = Vec::new();
        let mut others: BTreeMap<&str, u32> = BTreeMap::new();
        let calls = seen.calls.iter();
        for call in calls.filter(|call| Chapter::at(timeline, call.entered) == chapter) {
            let Some(lesson) = lessons::about(side, call) else {
                *others.entry(call.name).or_default() += call.times;
                continue;
            };
            match steps.iter_mut().find(|step| step.lesson == lesson) {
                Some(step) => {
                    step.calls += call.times;
                    step.duration_ns += call.duration_ns;
                }
                None => steps.push(Step {
                    lesson,
                    first: call,
                    calls: call.times,
                    duration_ns: call.duration_ns,
                }),
            }
        }
        paragraphs.extend(steps.iter().map(|step| self.step(step)));
        if !others.is_empty() {
            paragraphs.push(self.others(&others));
        }
        paragraphs.join("\n\n")
    }

    fn step(&self, step: &Step<'_>) -> String {
        let once = Call {
            times: 1,
            ..step.first.clone()
        };
        let mut call = visible(&shortened(&once.to_string()));
        if let Some((end, _)) = call.char_indices().nth(LONGEST_CALL) {
            call.truncate(end);
            call.push('…');
        }
        let calls = match step.calls {
            1 => String::new(),
            calls => format!(
                " {} {calls} {}",
                self.say(Said {
                    en: "for",
                    es: "por",
                }),
                self.say(Said {
                    en: "calls, the first",
                    es: "llamadas, la primera",
                })
            ),
        };
        let lead = match step.first.result {
            Some(_) => format!("{}{calls}: ", time(step.duration_ns)),
            // It did not return.
            None => String::new(),
        };
        format!(
            "{lead}{call}\n{}\n[{}]",
            self.say(step.lesson.what_for),
            step.lesson.source
        )
    }

    /// Calls that every program makes.
    fn others(&self, others: &BTreeMap<&str, u32>) -> String {
        let count: u32 = others.values().sum();
        let mut ranked: Vec<_> = others.iter().collect();
        ranked.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), **name));
        let mut names: Vec<_> = ranked
            .iter()
            .take(OTHERS_LISTED)
            .map(|(name, count)| format!("{name} ×{count}"))
            .collect();
        if ranked.len() > OTHERS_LISTED {
            names.push("…".to_owned());
        }
        let others = self.say(Said {
            en: "other calls",
            es: "llamadas más",
        });
        format!("{count} {others}: {}", names.join(", "))
    }
}

/// `text` with digests cut to their beginnings, by which they are known.
fn shortened(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_hexdigit() { digits + 1 } else { 0 };
        match digits.cmp(&(DIGITS_OF_DIGEST + 1)) {
            Ordering::Less => short.push(c),
            Ordering::Equal => {
                short.truncate(short.len() - (DIGITS_OF_DIGEST - DIGITS_SHOWN));
                short.push('…');
            }
            Ordering::Greater => {}
        }
    }
    short
}

fn layout(heads: [String; 2], cells: [String; 2], width: u16) -> String {
    if width < SIDE_BY_SIDE_FROM {
        let pairs = heads.into_iter().zip(cells);
        let sides: Vec<_> = pairs
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(head, cell)| lines(table(width).set_header([head]).add_row([cell])))
            .collect();
        return sides.join("\n\n");
    }
    let half = ColumnConstraint::Absolute(Width::Percentage(50));
    lines(
        table(width)
            .set_header(heads)
            .add_row(cells)
            .set_constraints([half; 2]),
    )
}

fn table(width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::DynamicFullWidth)
        .set_width(width);
    table
}

/// Without the blanks that fill the last column.
fn lines(table: &Table) -> String {
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use launch::{ExitStatus, MonotonicNs, Timeline};

    use super::super::observed::Launch;
    use super::*;

    fn call(name: &'static str, arguments: &str, entered: u64) -> Call {
        Call {
            task: 1,
            name,
            arguments: arguments.into(),
            result: Some(Ok(0)),
            entered: MonotonicNs(entered),
            duration_ns: 2_000,
            times: 1,
        }
    }

    fn observed(span: &'static str, calls: Vec<Call>) -> Observed {
        let mut timeline = Timeline::starting(MonotonicNs(0));
        timeline.mark(span, MonotonicNs(1_000_000));
        Observed {
            calls,
            launch: Launch {
                timeline,
                status: ExitStatus::Exited(0),
            },
        }
    }

    fn page(language: Language) -> Page {
        Page {
            container: observed(
                "mounts",
                vec![
                    call("mknodat", r#"3, "null""#, 5),
                    call("close", "3", 6),
                    call("mknodat", r#"4, "null""#, 7),
                    call("close", "\u{1b}[2J", 8),
                ],
            ),
            vm: observed("create", vec![call("ioctl", "3, KVM_CREATE_VM, 0x0", 5)]),
            language,
        }
    }

    #[test]
    fn calls_of_one_kind_are_one_step() {
        let text = page(Language::En).render(120);
        assert!(
            text.contains(r#"4.00 µs for 2 calls, the first: mknodat(3, "null")"#),
            "{text}"
        );
        assert!(text.contains("2 other calls: close ×2"), "{text}");
        assert!(!text.contains(r#"mknodat(4"#), "{text}");
    }

    #[test]
    fn a_digest_is_cut_to_its_beginning() {
        let digest = "0123456789abcdef".repeat(4);
        for (text, short) in [
            (format!("/a/{digest}/b"), "/a/01234567…/b"),
            (digest.clone(), "01234567…"),
            ("/a/0123456789ab/b".to_owned(), "/a/0123456789ab/b"),
            (digest[..24].to_owned(), "0123456789abcdef01234567"),
        ] {
            assert_eq!(shortened(&text), short);
        }
    }

    #[test]
    fn both_sides_stand_beside_each_other_where_there_is_room() {
        let wide = page(Language::En).render(120);
        let narrow = page(Language::En).render(80);
        for (text, width) in [(&wide, 120), (&narrow, 80)] {
            let table = text.lines().take_while(|line| !line.starts_with("Times"));
            assert!(
                table.clone().all(|line| line.chars().count() <= width),
                "{text}"
            );
        }
        let machine = |text: &str| {
            let remark = text
                .lines()
                .position(|line| line.contains("the machine is the host"));
            let create = text.lines().position(|line| line.contains("KVM_CREATE_VM"));
            (remark.unwrap(), create.unwrap())
        };
        let (remark, create) = machine(&wide);
        assert_eq!(remark, create, "{wide}");
        let (remark, create) = machine(&narrow);
        assert!(remark < create, "{narrow}");
    }

    #[test]
    fn spanish_is_spoken() {
        let text = page(Language::Es).render(120);
        assert!(text.contains("LA MÁQUINA"), "{text}");
        assert!(text.contains("crea una máquina vacía"), "{text}");
        assert!(!text.contains("makes an empty machine"), "{text}");
    }
}
