//! `jaula images`.

use bench::{size, visible};
use guest_images::store::Listed;

use crate::args::ImagesArgs;
use crate::error::Error;
use crate::installation::Installation;
use crate::{listing, output};

/// Lists them; the exit code is 0.
pub fn images(args: &ImagesArgs) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    let images = installation.images()?.list().map_err(launch::Error::from)?;
    output::print(&list(&images, args))?;
    Ok(0)
}

fn list(images: &[Listed], args: &ImagesArgs) -> String {
    if args.quiet {
        let ids: Vec<_> = images.iter().map(|image| id(image, args)).collect();
        return ids.join("\n");
    }
    let rows: Vec<_> = images.iter().map(|image| row(image, args)).collect();
    listing::render(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"], &rows)
}

fn row(image: &Listed, args: &ImagesArgs) -> [String; 5] {
    let none = || "<none>".to_owned();
    let name = image.name.as_ref();
    let tag = name.and_then(|name| name.tag()).map(str::to_owned);
    [
        name.map_or_else(none, |name| name.familiar_name()),
        tag.unwrap_or_else(none),
        id(image, args),
        // Whatever the image says of itself; to the second, as elsewhere.
        image
            .created
            .as_deref()
            .map_or_else(|| "-".to_owned(), created),
        size(image.bytes),
    ]
}

fn id(image: &Listed, args: &ImagesArgs) -> String {
    if args.no_trunc {
        image.id.to_string()
    } else {
        image.id.short()
    }
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
    use guest_images::store::BlobDigest;

    use super::*;

    #[test]
    fn an_image_is_a_line_for_each_of_its_names() {
        let image = |name: Option<&str>| Listed {
            name: name.map(|name| name.parse().unwrap()),
            id: BlobDigest::of(b"image"),
            manifest: None,
            bytes: 128 << 20,
            created: Some("2026-01-02T03:04:05.678Z".into()),
        };
        let args = ImagesArgs {
            quiet: false,
            no_trunc: false,
        };
        let images = [
            image(Some("debian:13")),
            image(Some("localhost:5000/a/b")),
            Listed {
                created: None,
                ..image(None)
            },
        ];
        assert_eq!(
            list(&images, &args),
            "\
REPOSITORY           TAG      IMAGE ID       CREATED                SIZE
debian               13       6105d6cc76af   2026-01-02T03:04:05Z   128.0 MiB
localhost:5000/a/b   latest   6105d6cc76af   2026-01-02T03:04:05Z   128.0 MiB
<none>               <none>   6105d6cc76af   -                      128.0 MiB
"
        );
    }
}
