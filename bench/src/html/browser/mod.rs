//! The pages as a real browser has them: Chromium, without a window, by the DevTools protocol over pipes.

mod chromium;

use serde_json::json;

use super::tests::comparison;
use super::{SuitePage, render, render_changes, render_suite};
use crate::changes::Changes;
use crate::export::tests::measured;
use chromium::{Browser, Seen};

/// A phone, and a window on a desk.
const WIDTHS: [u32; 2] = [390, 1280];

/// What may not be said of a page.
fn faults(seen: &Seen) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(seen.complaints.iter().map(|it| format!("complaint: {it}")));
    faults.extend(seen.requests.iter().map(|it| format!("request: {it}")));
    let named = seen.images.iter().filter(|it| !it.trim().is_empty());
    if named.count() != seen.drawings {
        faults.push(format!("{} drawings: {:?}", seen.drawings, seen.images));
    }
    if seen.content_width > seen.window_width {
        let Seen {
            content_width,
            window_width,
            ..
        } = seen;
        faults.push(format!("wide: {content_width} in {window_width}"));
    }
    faults
}

#[test]
fn pages_fetch_nothing_complain_of_nothing_fit_and_name_their_drawings() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let all = ["startup", "hash"].map(measured);
    let changes = Changes::between(&all, &all);
    let suite = SuitePage {
        all: &all,
        unmeasured: &[],
        changes: Some(&changes),
        judgements: None,
    };
    for (name, page, drawings) in [
        ("a comparison", render(&comparison()), 12),
        ("a suite", render_suite(suite).unwrap(), 24),
        ("changes", render_changes(&changes, None), 0),
    ] {
        assert!(page.len() < 1 << 20, "{name}");
        for width in WIDTHS {
            let seen = browser.look(&page, width);
            assert_eq!(seen.drawings, drawings, "{name}");
            assert_eq!(faults(&seen), [""; 0], "{name}, {width}");
        }
    }
}

#[test]
fn a_page_that_does_one_of_that_is_found() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    // Nobody listens there; that it is asked for is what counts.
    let fetching = r#"<img alt="x" src="http://127.0.0.1:9/x.png">"#;
    for (body, expected) in [
        ("<p>fine</p>", None),
        (
            "<script>console.error('no')</script>",
            Some("complaint: no"),
        ),
        ("<script>nothing.there</script>", Some("complaint: ")),
        (fetching, Some("request: http://127.0.0.1:9/x.png")),
        (r#"<svg role="img"></svg>"#, Some("1 drawings: ")),
        (r#"<svg role="img" aria-label="x"></svg>"#, None),
        (
            r#"<div style="width: 500px">x</div>"#,
            Some("wide: 500 in 390"),
        ),
    ] {
        let page =
            format!("<!DOCTYPE html><html lang=en><title>x</title><body style='margin: 0'>{body}");
        let faults = faults(&browser.look(&page, WIDTHS[0]));
        let is_as_expected = match expected {
            None => faults.is_empty(),
            Some(expected) => faults.iter().any(|it| it.starts_with(expected)),
        };
        assert!(is_as_expected, "{body}: {faults:?}");
    }
}

#[test]
fn what_a_page_may_do_is_nothing_whatever_is_in_it() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let hostile = r#"<script>document.title = "run"</script><img src="http://127.0.0.1:9/x.png">"#;
    let page = render(&comparison()).replace("</main>", &format!("{hostile}</main>"));
    let seen = browser.look(&page, WIDTHS[1]);
    assert_eq!(seen.requests, [""; 0]);
    assert_eq!(browser.evaluate("document.title"), json!("jaula compare"));
}
