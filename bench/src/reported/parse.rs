use super::distribution::MOST_QUANTILES;
use super::{Figure, Reported};
use crate::Captured;

/// What the output of a workload begins with that reports figures; the version of the form follows.
const FIRST_WORD: &str = "jaula-figures ";

/// The forms that are understood: quantiles and `until_ns` came with the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    One,
    Two,
}

/// Most figures in a report.
const MOST_FIGURES: usize = 64;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 40;

/// The longest line, in bytes: a name and five numbers need less.
const LONGEST_LINE: usize = 200;

/// The longest with quantiles: 41 numbers of 15 digits, and what is between them.
const LONGEST_WITH_QUANTILES: usize = LONGEST_LINE + MOST_QUANTILES * (MOST_DIGITS + 1) + 20;

/// The most digits of a number: some days in nanoseconds.
const MOST_DIGITS: usize = 15;

/// What begins like a report is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A line is not as it must be.
    #[error("the figures that it reports can't be read: line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// It breaks off.
    #[error("the figures that it reports can't be read: the last line, with took_ns, is missing")]
    NoEnd,
}

impl Reported {
    /// Reads a report, if the output is one: the line `jaula-figures 2`, then for each figure
    ///
    /// ```text
    /// NAME values=N batch=N p50_ns=N [p99_ns=N] [quantiles_ns=N,N,...] [until_ns=N]
    /// ```
    ///
    /// and at last `end took_ns=N`. After `jaula-figures 1` there are no quantiles and no
    /// `until_ns`. All with single spaces, in this order, and nothing else. Its first and its last bytes arrived `host_ns` apart.
    pub(crate) fn read(stdout: &Captured, host_ns: u64) -> Option<Result<Self, ReportError>> {
        let rest = stdout.text.strip_prefix(FIRST_WORD)?;
        let (form, rest) = match rest.split_once('\n')? {
            ("1", rest) => (Form::One, rest),
            ("2", rest) => (Form::Two, rest),
            _ => return None,
        };
        Some(read(rest, form).map(|(figures, took_ns)| Self {
            figures,
            took_ns,
            host_ns,
        }))
    }
}

/// What follows the first line.
fn read(text: &str, form: Form) -> Result<(Vec<Figure>, u64), ReportError> {
    let longest = match form {
        Form::One => LONGEST_LINE,
        Form::Two => LONGEST_WITH_QUANTILES,
    };
    let mut figures: Vec<Figure> = Vec::new();
    let mut lines = text.split_inclusive('\n').zip(2..);
    while let Some((with_end, line)) = lines.next() {
        let error = |problem| ReportError::Line { line, problem };
        if with_end.len() > longest {
            return Err(error("it is too long"));
        }
        let words = with_end.strip_suffix('\n').ok_or(ReportError::NoEnd)?;
        if let Some(end) = words.strip_prefix("end ") {
            let took_ns = number(end, "took_ns").ok_or(error("took_ns is no number"))?;
            return match lines.next() {
                None => Ok((figures, took_ns)),
                Some((_, line)) => Err(ReportError::Line {
                    line,
                    problem: "something follows the end",
                }),
            };
        }
        let figure = figure(words, form).map_err(error)?;
        if figures.len() == MOST_FIGURES {
            return Err(error("there are too many"));
        }
        if figures.iter().any(|other| other.name == figure.name) {
            return Err(error("there is another figure of this name"));
        }
        let before = figures.iter().filter_map(|it| it.until_ns).max();
        if figure.until_ns.is_some() && figure.until_ns < before {
            return Err(error("until_ns is before that of another line"));
        }
        figures.push(figure);
    }
    Err(ReportError::NoEnd)
}

fn figure(line: &str, form: Form) -> Result<Figure, &'static str> {
    let mut words = line.split(' ').peekable();
    let name = words.next().unwrap_or_default();
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(is_good) {
        return Err("it does not begin with a name");
    }
    let mut next = |key, problem| words.next().and_then(|it| number(it, key)).ok_or(problem);
    let values = next("values", "values is no number")?;
    let batch = next("batch", "batch is no number")?;
    let p50_ns = next("p50_ns", "p50_ns is no number")?;
    let is = |key: &str, word: &str| form == Form::Two && word.starts_with(key);
    let p99_ns = words.next_if(|word| !is(QUANTILES, word) && !is(UNTIL, word));
    let p99_ns = match p99_ns.map(|it| number(it, "p99_ns")) {
        None => None,
        Some(Some(p99_ns)) if p99_ns >= p50_ns => Some(p99_ns),
        Some(_) => return Err("p99_ns is no number, or below p50_ns"),
    };
    let quantiles_ns = match words.next_if(|word| is(QUANTILES, word)) {
        None => Vec::new(),
        Some(word) => quantiles(word, p50_ns)?,
    };
    let until_ns = words.next_if(|word| is(UNTIL, word));
    let until_ns = until_ns.map(|it| number(it, UNTIL).ok_or("until_ns is no number"));
    let until_ns = until_ns.transpose()?;
    if words.next().is_some() {
        return Err("there is too much in it");
    }
    if values == 0 || batch == 0 {
        return Err("a figure is of one value at least, and a value of one operation");
    }
    Ok(Figure {
        name: name.to_owned(),
        values,
        batch,
        p50_ns,
        p99_ns,
        quantiles_ns,
        until_ns,
        cpu_ns: None,
    })
}

/// What the moment begins with until when it was measured.
const UNTIL: &str = "until_ns";

/// What quantiles begin with.
const QUANTILES: &str = "quantiles_ns=";

fn quantiles(word: &str, p50_ns: u64) -> Result<Vec<u64>, &'static str> {
    let list = word.strip_prefix(QUANTILES).unwrap_or_default();
    // One more than there may be is enough to see that there are too many.
    let numbers = list.split(',').take(MOST_QUANTILES + 1).map(digits);
    let quantiles = numbers.collect::<Option<Vec<_>>>();
    let quantiles = quantiles.ok_or("quantiles_ns are no numbers")?;
    if !(2..=MOST_QUANTILES).contains(&quantiles.len()) {
        return Err("quantiles_ns are 2 to 41 numbers");
    }
    let has_median = quantiles[0] <= p50_ns && p50_ns <= quantiles[quantiles.len() - 1];
    if !quantiles.is_sorted() || !has_median {
        return Err("quantiles_ns are not in order, or p50_ns is not among them");
    }
    Ok(quantiles)
}

/// `KEY=N`.
fn number(word: &str, key: &str) -> Option<u64> {
    digits(word.strip_prefix(key)?.strip_prefix('=')?)
}

fn digits(text: &str) -> Option<u64> {
    let is_good = text.len() <= MOST_DIGITS && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| is_good)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(text: &str) -> Option<Result<Reported, ReportError>> {
        Reported::read(&Captured::of_text(text.to_owned()), 90)
    }

    #[test]
    fn a_report_is_read() {
        let text = "jaula-figures 1\n\
                    getppid values=1000 batch=64 p50_ns=80 p99_ns=120\n\
                    tcp-256k values=3 batch=1 p50_ns=0\n\
                    end took_ns=100\n";
        let reported = read_all(text).unwrap().unwrap();
        assert_eq!((reported.took_ns, reported.host_ns), (100, 90));
        let figure = |name: &str, values, batch, p50_ns, p99_ns| Figure {
            name: name.into(),
            values,
            batch,
            p50_ns,
            p99_ns,
            quantiles_ns: Vec::new(),
            until_ns: None,
            cpu_ns: None,
        };
        assert_eq!(
            reported.figures,
            [
                figure("getppid", 1000, 64, 80, Some(120)),
                figure("tcp-256k", 3, 1, 0, None)
            ]
        );
    }

    #[test]
    fn quantiles_came_with_the_second_form() {
        let with = |form: &str, rest: &str| {
            let text =
                format!("jaula-figures {form}\nx values=9 batch=1 p50_ns=5{rest}\nend took_ns=1\n");
            let read = read_all(&text).unwrap();
            read.map(|it| it.figures[0].quantiles_ns.clone())
                .map_err(|error| error.to_string())
        };
        let many = vec!["5"; 42].join(",");
        let most = "9".repeat(15);
        for (rest, expected) in [
            ("", Ok(vec![])),
            (" p99_ns=9", Ok(vec![])),
            (" quantiles_ns=1,5,9", Ok(vec![1, 5, 9])),
            (" p99_ns=9 quantiles_ns=5,5", Ok(vec![5, 5])),
            (" quantiles_ns=5", Err("2 to 41 numbers")),
            (&format!(" quantiles_ns={many}"), Err("2 to 41 numbers")),
            (" quantiles_ns=", Err("are no numbers")),
            (" quantiles_ns=5,,6", Err("are no numbers")),
            (" quantiles_ns=5,+6", Err("are no numbers")),
            (&format!(" quantiles_ns=5,{most}9"), Err("are no numbers")),
            (" quantiles_ns=6,5", Err("not in order")),
            (" quantiles_ns=6,7", Err("not among them")),
            (" quantiles_ns=1,4", Err("not among them")),
            (" quantiles_ns=1,9 p99_ns=9", Err("too much in it")),
        ] {
            let read = with("2", rest);
            match expected {
                Ok(quantiles) => assert_eq!(read, Ok(quantiles), "{rest}"),
                Err(problem) => {
                    let error = read.unwrap_err();
                    assert!(error.contains(problem), "{rest}: {error}");
                }
            }
        }
        let error = with("1", " quantiles_ns=1,9").unwrap_err();
        assert!(error.contains("line 2: p99_ns is no number"), "{error}");
    }

    #[test]
    fn until_when_a_figure_was_measured_never_goes_back() {
        let with = |form: &str, rest: &str| {
            let text = format!(
                "jaula-figures {form}\nx values=9 batch=1 p50_ns=5 until_ns=7\n\
                 y values=9 batch=1 p50_ns=5{rest}\nend took_ns=1\n"
            );
            let read = read_all(&text).unwrap();
            read.map(|it| it.figures[1].until_ns)
                .map_err(|error| error.to_string())
        };
        for (rest, expected) in [
            ("", Ok(None)),
            (" until_ns=7", Ok(Some(7))),
            (" p99_ns=9 quantiles_ns=5,5 until_ns=8", Ok(Some(8))),
            (" until_ns=6", Err("line 3: until_ns is before that of")),
            (" until_ns=x", Err("line 3: until_ns is no number")),
            (" until_ns=8 p99_ns=9", Err("line 3: there is too much")),
        ] {
            match (with("2", rest), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{rest}"),
                (Err(error), Err(problem)) => assert!(error.contains(problem), "{error}"),
                (read, expected) => panic!("{rest}: {read:?}, {expected:?}"),
            }
        }
        let error = with("1", "").unwrap_err();
        assert!(error.contains("line 2: p99_ns is no number"), "{error}");
    }

    #[test]
    fn other_output_is_no_report() {
        for text in [
            "",
            "jaula-figures 1",
            "jaula-figures 10\n",
            "jaula-figures 3\n",
            "jaula-figures 2 \n",
            " jaula-figures 1\n",
            "x\n",
        ] {
            assert_eq!(read_all(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_begins_like_a_report_and_is_none_is_an_error_in_a_line() {
        let good = "x values=1 batch=1 p50_ns=1";
        let many: String = (0..65)
            .map(|n| format!("x{n} values=1 batch=1 p50_ns=1\n"))
            .collect();
        for (text, expected) in [
            (String::new(), "the last line, with took_ns, is missing"),
            (
                format!("{good}\n"),
                "the last line, with took_ns, is missing",
            ),
            (
                "end took_ns=1".into(),
                "the last line, with took_ns, is missing",
            ),
            ("end took_ns=\n".into(), "line 2: took_ns is no number"),
            ("end took_ns=+1\n".into(), "line 2: took_ns is no number"),
            (
                "end took_ns=1234567890123456\n".into(),
                "line 2: took_ns is no number",
            ),
            (
                "end took_ns=1\n\n".into(),
                "line 3: something follows the end",
            ),
            (
                format!("{good}\n{good}\n"),
                "line 3: there is another figure of this name",
            ),
            ("\n".into(), "line 2: it does not begin with a name"),
            (
                "X values=1 batch=1 p50_ns=1\n".into(),
                "line 2: it does not begin with a name",
            ),
            (
                "x  values=1 batch=1 p50_ns=1\n".into(),
                "line 2: values is no number",
            ),
            ("x values=1 p50_ns=1\n".into(), "line 2: batch is no number"),
            ("x values=1 batch=1\n".into(), "line 2: p50_ns is no number"),
            (
                format!("{good} p99_ns=0\n"),
                "line 2: p99_ns is no number, or below p50_ns",
            ),
            (
                format!("{good} p99_ns=1 x\n"),
                "line 2: there is too much in it",
            ),
            (
                "x values=0 batch=1 p50_ns=1\n".into(),
                "line 2: a figure is of one value at least",
            ),
            (format!("{}\n", "x".repeat(200)), "line 2: it is too long"),
            (many, "line 66: there are too many"),
        ] {
            let error = read_all(&format!("jaula-figures 1\n{text}"))
                .unwrap()
                .unwrap_err();
            let start = format!("the figures that it reports can't be read: {expected}");
            assert!(error.to_string().starts_with(&start), "{text}: {error}");
        }
    }

    fn figures() -> impl Strategy<Value = Vec<Figure>> {
        let number = 1..1_000_000_000_000_000_u64;
        let figure = (
            number.clone(),
            number.clone(),
            number.clone(),
            number,
            any::<bool>(),
            0..MOST_QUANTILES - 1,
        );
        type Drawn = (usize, (u64, u64, u64, u64, bool, usize));
        let with_name = |(index, (values, batch, low, high, has_tail, more)): Drawn| {
            let quantiles = [low.min(high)].into_iter();
            let quantiles = quantiles.chain(std::iter::repeat_n(low.max(high), more));
            Figure {
                name: format!("f-{index}"),
                values,
                batch,
                p50_ns: low.min(high),
                p99_ns: has_tail.then(|| low.max(high)),
                quantiles_ns: if more > 0 {
                    quantiles.collect()
                } else {
                    Vec::new()
                },
                until_ns: (index % 2 == 0).then_some(index as u64),
                cpu_ns: None,
            }
        };
        prop::collection::vec(figure, 0..64)
            .prop_map(move |all| all.into_iter().enumerate().map(with_name).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_as_it_must_be_is_read_as_it_was_meant(figures in figures(), took in 0..1_000_000_000_000_000_u64) {
            let lines: String = figures.iter().map(|it| {
                let tail = it.p99_ns.map_or_else(String::new, |ns| format!(" p99_ns={ns}"));
                let quantiles: Vec<_> = it.quantiles_ns.iter().map(u64::to_string).collect();
                let quantiles = match quantiles[..] {
                    [] => String::new(),
                    _ => format!(" quantiles_ns={}", quantiles.join(",")),
                };
                let until = it.until_ns.map_or_else(String::new, |ns| format!(" until_ns={ns}"));
                format!("{} values={} batch={} p50_ns={}{tail}{quantiles}{until}\n", it.name, it.values, it.batch, it.p50_ns)
            }).collect();
            let reported = read_all(&format!("jaula-figures 2\n{lines}end took_ns={took}\n"));
            let reported = reported.unwrap().unwrap();
            prop_assert_eq!(reported.figures, figures);
            prop_assert_eq!(reported.took_ns, took);
        }

        #[test]
        fn whatever_follows_the_first_line_is_a_report_or_an_error_in_a_line(
            text in "(([a-z-]{1,4}|end|x) ?(values=|batch=|p50_ns=|p99_ns=|quantiles_ns=|until_ns=|took_ns=)?[0-9, \u{0}-\u{ff}]{0,20}\n?){0,8}"
        ) {
            for form in [1, 2] {
                if let Err(error) = read_all(&format!("jaula-figures {form}\n{text}")).unwrap() {
                    prop_assert!(!error.to_string().contains('\n'));
                }
            }
        }
    }
}
