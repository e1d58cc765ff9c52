//! `jaula template`: machines that VMs start from.

use bench::{size, visible};
use launch::Progress;
use vmm::{StartMode, Template, TemplateFacts, TemplateState, Templates};

use crate::args::{TemplateAction, TemplateBuildArgs, TemplateRmArgs};
use crate::error::Error;
use crate::installation::{self, Installation};
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;
use crate::{date, listing, output, progress};

/// How many digits of a template's name are shown: enough to tell it from all others, as docker
/// has it.
const SHOWN_DIGITS: usize = 12;

/// A name that no template has, or more than one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NotOne {
    #[error("there is no template {0:?}")]
    None(String),
    #[error("more than one template's name begins with {0:?}")]
    Several(String),
}

impl From<NotOne> for Error {
    fn from(error: NotOne) -> Self {
        launch::Error::new(error)
            .with_remedy("see jaula template ls")
            .into()
    }
}

/// Does it; the exit code is 0.
pub fn template(action: &TemplateAction) -> Result<u8, Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    match action {
        TemplateAction::Build(args) => {
            let name = build(&installation, args)?;
            output::print(shown(&name))?;
        }
        TemplateAction::Ls => {
            let templates = Templates(&installation.cache).list(installation::ring0());
            output::print(&list(&templates))?;
        }
        TemplateAction::Rm(args) => {
            let removed = remove(&installation, args)?;
            output::print(&removed.join("\n"))?;
        }
    }
    Ok(0)
}

fn build(installation: &Installation, args: &TemplateBuildArgs) -> Result<String, Error> {
    let signals = Signals::hold()?;
    let interruption = Interruption::default();
    let progress = progress::on_stderr();
    let work = |progress: &dyn Progress| -> Result<_, launch::Error> {
        installation.sweep()?;
        let launcher = installation.vm(args.guest(), StartMode::Warm);
        launcher.make_template(args.memory, args.cpus, progress)
    };
    let dir = signals.during(
        |signal| interruption.take(signal, Wish::End),
        || work(progress.as_ref()),
    )?;
    interruption.check()?;
    let dir = dir?;
    let name = dir.file_name().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

fn remove(installation: &Installation, args: &TemplateRmArgs) -> Result<Vec<String>, Error> {
    let shelf = Templates(&installation.cache);
    let templates = shelf.list(installation::ring0());
    let chosen: Vec<_> = if args.all {
        templates.iter().collect()
    } else {
        let found = args.names.iter().map(|name| find(&templates, name));
        // Before any is removed: what was typed wrong removes nothing.
        found.collect::<Result<_, _>>()?
    };
    let mut removed = Vec::new();
    for Template { name, .. } in chosen {
        shelf.remove(name).map_err(launch::Error::new)?;
        removed.push(shown(name).to_owned());
    }
    Ok(removed)
}

/// The one whose name begins so.
fn find<'a>(templates: &'a [Template], beginning: &str) -> Result<&'a Template, NotOne> {
    let mut found = templates
        .iter()
        .filter(|template| template.name.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(NotOne::None(beginning.to_owned())),
        (Some(_), Some(_)) => Err(NotOne::Several(beginning.to_owned())),
    }
}

fn shown(name: &str) -> &str {
    name.get(..SHOWN_DIGITS).unwrap_or(name)
}

fn list(templates: &[Template]) -> String {
    let rows: Vec<_> = templates.iter().map(row).collect();
    listing::render(
        ["NAME", "MEMORY", "CPUS", "SIZE", "CREATED", "STATE"],
        &rows,
    )
}

fn row(template: &Template) -> [String; 6] {
    let (facts, state) = match &template.state {
        TemplateState::Current(facts) => (Some(facts), "current".to_owned()),
        TemplateState::Stale(facts) => (Some(facts), "stale".to_owned()),
        TemplateState::Unusable(why) => (None, format!("damaged: {}", visible(why))),
    };
    let fact = |show: fn(&TemplateFacts) -> String| facts.map_or_else(|| "-".to_owned(), show);
    [
        shown(&template.name).to_owned(),
        fact(|facts| size(facts.memory_bytes)),
        fact(|facts| facts.vcpus.to_string()),
        size(template.disk_bytes),
        fact(|facts| date::utc(facts.made_unix_seconds)),
        state,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(name: &str) -> Template {
        Template {
            name: name.to_owned(),
            disk_bytes: 21 << 20,
            state: TemplateState::Current(TemplateFacts {
                memory_bytes: 128 << 20,
                vcpus: 2,
                kernel: launch::Digest::from_bytes(&[2; 32]),
                made_unix_seconds: 1_767_323_045,
            }),
        }
    }

    #[test]
    fn a_template_is_a_line() {
        let damaged = Template {
            state: TemplateState::Unusable("cut off".into()),
            ..template("aa")
        };
        assert_eq!(
            list(&[template("3f9c00112233445566778899"), damaged]),
            "\
NAME           MEMORY      CPUS   SIZE       CREATED                STATE
3f9c00112233   128.0 MiB   2      21.0 MiB   2026-01-02T03:04:05Z   current
aa             -           -      21.0 MiB   -                      damaged: cut off
"
        );
    }

    #[test]
    fn a_beginning_names_the_one_that_has_it() {
        let templates = [template("3f9c"), template("3f00"), template("a000")];
        let found = |beginning| find(&templates, beginning).map(|found| found.name.as_str());
        assert_eq!(found("a"), Ok("a000"));
        assert_eq!(found("3f9c"), Ok("3f9c"));
        assert_eq!(found("3f"), Err(NotOne::Several("3f".into())));
        assert_eq!(found("b"), Err(NotOne::None("b".into())));
    }
}
