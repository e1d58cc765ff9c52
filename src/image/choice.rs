//! Which images are listed.

use std::time::SystemTime;

use guest_images::store::{Listed, Reference};

use crate::args::ImagesArgs;
use crate::date;
use crate::notation::{ImageFilter, fits};

/// Why a filter can't be applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error("there is no image {0:?}")]
    NoImage(String),
    #[error("more than one image's ID begins with {0:?}")]
    Ambiguous(String),
    #[error("the image {0} does not say when it was made")]
    NoDate(String),
}

/// Those that the arguments are about.
pub fn chosen<'a>(images: &'a [Listed], args: &ImagesArgs) -> Result<Vec<&'a Listed>, ChoiceError> {
    let mut before = None;
    let mut since = None;
    for filter in &args.filter {
        // The narrowest of several.
        match filter {
            ImageFilter::Before(which) => {
                let made = made(images, which)?;
                before = Some(before.map_or(made, |other: SystemTime| other.min(made)));
            }
            ImageFilter::Since(which) => since = since.max(Some(made(images, which)?)),
            _ => {}
        }
    }
    let images = images.iter().filter(|image| fits_words(image, args));
    let images = images.filter(|image| {
        let made = made_at(image);
        before.is_none_or(|before| made.is_some_and(|made| made < before))
            && since.is_none_or(|since| made.is_some_and(|made| made > since))
    });
    Ok(images.collect())
}

/// As docker has it: one of the patterns that are given, and all else.
fn fits_words(image: &Listed, args: &ImagesArgs) -> bool {
    let fits_name = |pattern: &str| {
        let name = image.name.as_ref();
        name.is_some_and(|it| fits(pattern, &it.familiar_name()) || fits(pattern, &it.to_string()))
    };
    let mut any = args.pattern.as_deref().map(fits_name);
    let mut all = true;
    for filter in &args.filter {
        match filter {
            ImageFilter::Reference(pattern) => {
                any = Some(any.unwrap_or(false) || fits_name(pattern));
            }
            ImageFilter::Label(name, value) => {
                let found = image.labels.get(name);
                all &= found.is_some_and(|it| value.as_ref().is_none_or(|value| value == it));
            }
            ImageFilter::Dangling(dangling) => all &= image.name.is_none() == *dangling,
            ImageFilter::Before(_) | ImageFilter::Since(_) => {}
        }
    }
    all && any.unwrap_or(true)
}

/// When the image of this name, or with an ID that begins so, was made.
fn made(images: &[Listed], which: &str) -> Result<SystemTime, ChoiceError> {
    let image = find(images, which)?;
    made_at(image).ok_or_else(|| ChoiceError::NoDate(which.to_owned()))
}

fn made_at(image: &Listed) -> Option<SystemTime> {
    date::parse_rfc3339(image.created.as_deref()?)
}

fn find<'a>(images: &'a [Listed], which: &str) -> Result<&'a Listed, ChoiceError> {
    let name: Option<Reference> = which.parse().ok();
    let named = images
        .iter()
        .find(|image| name.is_some() && image.name == name);
    if let Some(named) = named {
        return Ok(named);
    }
    let digits = which.strip_prefix("sha256:").unwrap_or(which);
    let mut found: Option<&Listed> = None;
    for image in images {
        if digits.is_empty() || !image.id.hex().starts_with(digits) {
            continue;
        }
        if found.is_some_and(|found| found.id != image.id) {
            return Err(ChoiceError::Ambiguous(which.to_owned()));
        }
        found = Some(image);
    }
    found.ok_or_else(|| ChoiceError::NoImage(which.to_owned()))
}
