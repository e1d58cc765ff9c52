//! A workload as it was measured, as a file that later runs read: to go on from, and to be held against.

use serde::{Deserialize, Serialize};

use super::Measured;

/// How these files are written. Whoever changes what a [`Measured`] has, or what is meant by it, raises
/// it; files without it are of the first form.
const FORM: u32 = 6;

/// Bytes are no workload that was measured.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// They are in a form that is not known any more, or not yet.
    #[error("it was made by jaula {version}, in form {form}, and this one reads form {FORM}")]
    OtherForm {
        /// The version of jaula.
        version: String,
        /// Which form.
        form: u32,
    },
    /// They are in no form.
    #[error("it is no result of jaula's")]
    Damaged(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Written<'a> {
    form: u32,
    #[serde(flatten)]
    measured: &'a Measured,
}

/// What has been there in all forms.
#[derive(Deserialize)]
struct Head {
    form: Option<u32>,
    comparison: HeadOfComparison,
}

#[derive(Deserialize)]
struct HeadOfComparison {
    environment: HeadOfEnvironment,
}

#[derive(Deserialize)]
struct HeadOfEnvironment {
    programs: HeadOfPrograms,
}

#[derive(Deserialize)]
struct HeadOfPrograms {
    jaula_version: String,
}

/// The whole file.
pub fn kept(measured: &Measured) -> String {
    let form = FORM;
    // No map of it has a key that is no text, and nothing in it can't be written.
    serde_json::to_string(&Written { form, measured }).unwrap_or_default()
}

/// What such a file says.
///
/// # Errors
///
/// When it is none, or one of another form.
pub fn read_kept(bytes: &[u8]) -> Result<Measured, KeptError> {
    let head: Head = serde_json::from_slice(bytes)?;
    match head.form.unwrap_or(1) {
        FORM => Ok(serde_json::from_slice(bytes)?),
        form => Err(KeptError::OtherForm {
            version: head.comparison.environment.programs.jaula_version,
            form,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::export::tests::measured;

    #[test]
    fn what_was_kept_is_read_as_it_was() {
        let measured = measured("startup");
        let read = read_kept(kept(&measured).as_bytes()).unwrap();
        assert_eq!(read.name, measured.name);
        // All of it is whole numbers; of others the last digit may be another one.
        assert_eq!(read.comparison.series, measured.comparison.series);
        assert_eq!(
            read.comparison.load.elasticity,
            measured.comparison.load.elasticity
        );
    }

    #[test]
    fn another_form_is_told_with_who_made_it_whatever_else_is_in_it() {
        let mut file: Value = serde_json::from_str(&kept(&measured("startup"))).unwrap();
        file["comparison"]["environment"]["programs"]["jaula_version"] = "0.0.9".into();
        file["comparison"]["series"] = "another thing".into();
        for (form, expected) in [
            (
                Some(9),
                "it was made by jaula 0.0.9, in form 9, and this one",
            ),
            (None, "it was made by jaula 0.0.9, in form 1, and this one"),
            (Some(FORM), "it is no result of jaula's"),
        ] {
            match form {
                Some(form) => file["form"] = form.into(),
                None => drop(file.as_object_mut().unwrap().remove("form")),
            }
            let error = read_kept(file.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        assert!(read_kept(b"{}").is_err());
    }
}
