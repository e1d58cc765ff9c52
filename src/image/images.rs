//! `jaula images`.

use bench::{size, visible};
use guest_images::store::Listed;
use serde::Serialize;

use super::choice::{ChoiceError, chosen};
use crate::args::{Format, ImagesArgs};
use crate::error::Error;
use crate::installation::Installation;
use crate::{listing, output};

/// Lists them; the exit code is 0.
pub fn images(args: &ImagesArgs) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let images = installation.images()?.list().map_err(launch::Error::from)?;
    let chosen = chosen(&images, args).map_err(not_chosen)?;
    let text = list(&chosen, args).map_err(launch::Error::new)?;
    if !text.is_empty() {
        output::print(&text)?;
    }
    Ok(0)
}

fn not_chosen(error: ChoiceError) -> Error {
    let remedy = match error {
        ChoiceError::NoImage(_) | ChoiceError::Ambiguous(_) => Some("see jaula images"),
        ChoiceError::NoDate(_) => None,
    };
    Error::NotDone(launch::Error::remedied(error, remedy))
}

fn list(images: &[&Listed], args: &ImagesArgs) -> serde_json::Result<String> {
    let rows: Vec<_> = images.iter().map(|image| Row::new(image, args)).collect();
    if args.quiet {
        let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
        return Ok(ids.join("\n"));
    }
    match args.format {
        Format::Json => {
            let lines = rows.iter().map(serde_json::to_string);
            Ok(lines.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        Format::Table => Ok(table(rows, args.digests)),
    }
}

/// What is listed of an image, with docker's keys.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    repository: String,
    tag: String,
    digest: String,
    #[serde(rename = "ID")]
    id: String,
    created_at: String,
    size: String,
}

impl Row {
    fn new(image: &Listed, args: &ImagesArgs) -> Self {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "<none>".to_owned());
        let name = image.name.as_ref();
        // Whatever the image says of itself; to the second, as elsewhere.
        let created_at = image.created.as_deref().map(created);
        Self {
            repository: or_none(name.map(|name| name.familiar_name())),
            tag: or_none(name.and_then(|name| name.tag()).map(str::to_owned)),
            digest: or_none(image.manifest.map(|digest| digest.to_string())),
            id: match args.no_trunc {
                true => image.id.to_string(),
                false => image.id.short(),
            },
            created_at: created_at.unwrap_or_else(|| "-".to_owned()),
            size: size(image.bytes),
        }
    }
}

fn table(rows: Vec<Row>, digests: bool) -> String {
    if digests {
        let rows: Vec<_> = rows
            .into_iter()
            .map(|it| {
                [
                    it.repository,
                    it.tag,
                    it.digest,
                    it.id,
                    it.created_at,
                    it.size,
                ]
            })
            .collect();
        let heads = ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"];
        return listing::render(heads, &rows);
    }
    let rows: Vec<_> = rows
        .into_iter()
        .map(|it| [it.repository, it.tag, it.id, it.created_at, it.size])
        .collect();
    listing::render(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"], &rows)
}

/// RFC 3339 without decimals of a second.
fn created(text: &str) -> String {
    match text.split_once('.') {
        Some((seconds, rest)) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            visible(&format!("{seconds}{zone}")).to_string()
        }
        None => visible(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use guest_images::store::BlobDigest;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: ImagesArgs,
    }

    fn listed(words: &[&str]) -> String {
        try_listed(words).unwrap()
    }

    fn try_listed(words: &[&str]) -> Result<String, ChoiceError> {
        let image = |name: Option<&str>| Listed {
            name: name.map(|name| name.parse().unwrap()),
            id: BlobDigest::of(b"image"),
            manifest: None,
            bytes: 128 << 20,
            created: Some("2026-01-02T03:04:05.678Z".into()),
            labels: [("kind".to_owned(), "base".to_owned())].into(),
        };
        let images = [
            image(Some("debian:13")),
            Listed {
                manifest: Some(BlobDigest::of(b"manifest")),
                ..image(Some("localhost:5000/a/b"))
            },
            Listed {
                created: None,
                labels: Default::default(),
                ..image(None)
            },
        ];
        let args = CommandLine::parse_from([&["images"], words].concat()).args;
        Ok(list(&chosen(&images, &args)?, &args).unwrap())
    }

    #[test]
    fn an_image_is_a_line_for_each_of_its_names() {
        assert_eq!(
            listed(&[]),
            "\
REPOSITORY           TAG      IMAGE ID       CREATED                SIZE
debian               13       6105d6cc76af   2026-01-02T03:04:05Z   128.0 MiB
localhost:5000/a/b   latest   6105d6cc76af   2026-01-02T03:04:05Z   128.0 MiB
<none>               <none>   6105d6cc76af   -                      128.0 MiB
"
        );
        let digest = BlobDigest::of(b"manifest").to_string();
        let digests = listed(&["--digests"]);
        let column: Vec<_> = digests
            .lines()
            .map(|line| line.split_whitespace().nth(2).unwrap())
            .collect();
        assert_eq!(column, ["DIGEST", "<none>", &digest, "<none>"]);
    }

    #[test]
    fn a_line_of_json_has_dockers_keys() {
        assert_eq!(
            listed(&["--format", "json", "debian"]),
            r#"{"Repository":"debian","Tag":"13","Digest":"<none>","ID":"6105d6cc76af","CreatedAt":"2026-01-02T03:04:05Z","Size":"128.0 MiB"}"#
        );
    }

    #[test]
    fn only_what_fits_all_filters_is_listed() {
        for (words, expected) in [
            (&["debian"][..], &["debian"][..]),
            (&["debian:13"], &["debian"]),
            (&["debian:12"], &[]),
            (&["-f", "reference=*:*/*/*"], &["localhost:5000/a/b"]),
            (
                &["-f", "reference=deb*", "-f", "reference=local*/*/*"],
                &["debian", "localhost:5000/a/b"],
            ),
            (&["-f", "dangling=true"], &["<none>"]),
            (&["-f", "dangling=false", "debian"], &["debian"]),
            (&["-f", "label=kind"], &["debian", "localhost:5000/a/b"]),
            (&["-f", "label=kind=base", "-f", "dangling=true"], &[]),
            (&["-f", "label=kind=other"], &[]),
        ] {
            let text = listed(words);
            let shown = text.lines().skip(1);
            let shown: Vec<_> = shown
                .flat_map(|line| line.split_whitespace().next())
                .collect();
            assert_eq!(shown, expected, "{words:?}");
        }
    }
}
