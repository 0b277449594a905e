//! `sightword doctor`: is everything in order, and if not, what mends it?

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use sightword::collection::{Check, CheckStatus, Collection, repair};

use super::console::Console;
use super::json;
use super::place::{Model, Place, Second};
use super::{Outcome, sanitize};

/// Check the index, its folders and the model
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword doctor                   the nearest index here or above
  sightword doctor --in ~/Photos     the index of a folder
  sightword doctor --repair          also mend what can be mended without the pictures")]
pub(crate) struct Doctor {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    second: Second,

    /// First make broken parts of the index again from others, where that can be done
    #[arg(long)]
    repair: bool,

    /// Print JSON Lines
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CheckLine<'a> {
    state: &'a str,
    name: &'a str,
    detail: &'a str,
    fix: Option<&'a str>,
}

pub(crate) fn run(args: &Doctor, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let encoder = model.load()?;
    let index = args.place.find()?;
    let mut checks = if args.repair { repair(&index) } else { Vec::new() };
    checks.extend(Collection::diagnose(&index, &encoder));
    if let Some(reranker) = args.second.find(&encoder)? {
        checks.push(Collection::check_features(&index, &*reranker));
    }
    let failed = checks.iter().any(|check| check.status == CheckStatus::Fail);
    for check in &checks {
        if args.json {
            print_json(check, console)?;
        } else {
            print(check, console)?;
        }
    }
    Ok(if failed { Outcome::Nothing } else { Outcome::Found })
}

fn name(status: CheckStatus) -> (&'static str, Style) {
    match status {
        CheckStatus::Ok => ("ok", AnsiColor::Green.on_default()),
        CheckStatus::Warn => ("warn", AnsiColor::Yellow.on_default()),
        CheckStatus::Fail => ("fail", AnsiColor::Red.on_default().bold()),
    }
}

/// `ok|warn|fail name — detail — fix`
fn print(check: &Check, console: &mut Console) -> anyhow::Result<()> {
    let (state, style) = name(check.status);
    let mut told = format!("{} — {}", check.name, check.detail);
    if let Some(fix) = &check.fix {
        told.push_str(" — ");
        told.push_str(fix);
    }
    let told = if console.out_is_terminal() { sanitize::text(&told) } else { told };
    let state = console.paint(style, format_args!("{state:<4}"));
    writeln!(console.out(), "{state} {told}")?;
    Ok(())
}

fn print_json(check: &Check, console: &mut Console) -> anyhow::Result<()> {
    let (state, _) = name(check.status);
    let (name, detail, fix) = (check.name, &*check.detail, check.fix.as_deref());
    json::line(&CheckLine { state, name, detail, fix }, console.out())?;
    Ok(())
}
