//! What else is not the same of two results.

use crate::Environment;
use crate::environment::short;
use crate::export::Measured;

/// In what the places of two results differ. Each workload has an environment of its own, and they
/// are those of one host: the first speaks for all.
pub(super) fn circumstances(before: &[Measured], after: &[Measured]) -> Vec<String> {
    let first = |all: &[Measured]| Some(all.first()?.comparison.environment.clone());
    first(before)
        .zip(first(after))
        .map_or_else(Vec::new, |(was, is)| differences(&was, &is))
}

/// With which other flags a workload was measured, if it was.
pub(super) fn other_words(was: &Measured, is: &Measured) -> Option<String> {
    let only = |of: &Measured, other: &Measured| {
        let words = of.words.iter().filter(|it| !other.words.contains(it));
        match words.cloned().collect::<Vec<_>>().join(" ") {
            none if none.is_empty() => "without".to_owned(),
            words => format!("with {words}"),
        }
    };
    (was.words != is.words).then(|| {
        let (before, now) = (only(was, is), only(is, was));
        format!("{} was measured {before}, and is {now}", is.name)
    })
}

/// In what two places differ, in one line each.
pub fn differences(was: &Environment, is: &Environment) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let digest = |digest: &Option<launch::Digest>| {
        let digest = digest.as_ref();
        digest.map_or_else(unknown, |it| short(it).to_owned())
    };
    let of = |environment: &Environment| {
        let Environment {
            cpu_model,
            cpus,
            kernel_release,
            guest_ring0,
            programs,
            ..
        } = environment;
        [
            ("the processor", cpu_model.clone().unwrap_or_else(unknown)),
            ("the number of CPUs", cpus.to_string()),
            ("the host's kernel", kernel_release.clone()),
            (
                "what runs a guest's kernel",
                match guest_ring0 {
                    None => unknown(),
                    Some(vmm::ring0::Ring0::Hardware { .. }) => "hardware".into(),
                    Some(vmm::ring0::Ring0::Emulated { .. }) => "emulation".into(),
                },
            ),
            ("jaula's binary", digest(&programs.jaula_sha256)),
            ("the guest's kernel", digest(&programs.guest_kernel_sha256)),
        ]
    };
    let pairs = of(was).into_iter().zip(of(is));
    pairs
        .filter(|((_, was), (_, is))| was != is)
        .map(|((name, was), (_, is))| format!("{name} was {was}, and is {is}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::measured;

    #[test]
    fn other_flags_are_told() {
        let old = measured("startup");
        let mut new = old.clone();
        new.words.insert(0, "--ready=tcp:80".into());
        assert_eq!(other_words(&old, &old), None);
        for (was, is, expected) in [
            (
                &old,
                &new,
                "startup was measured without, and is with --ready=tcp:80",
            ),
            (
                &new,
                &old,
                "startup was measured with --ready=tcp:80, and is without",
            ),
        ] {
            assert_eq!(other_words(was, is).as_deref(), Some(expected));
        }
    }

    #[test]
    fn another_host_is_told() {
        let old = measured("startup");
        let mut new = old.clone();
        new.comparison.environment.cpus = 64;
        let cpus = old.comparison.environment.cpus;
        assert_eq!(
            circumstances(&[old], &[new]),
            [format!("the number of CPUs was {cpus}, and is 64")]
        );
    }
}
