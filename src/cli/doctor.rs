//! `sightword doctor`: is everything in order, and if not, what mends it?

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use sightword::collection::{Check, CheckState, Collection};

use super::console::Console;
use super::json;
use super::place::{Model, Place};
use super::{Outcome, sanitize};

/// Check the index, its folders and the model
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "\
  sightword doctor                   the nearest index here or above
  sightword doctor --in ~/Photos     the index of a folder
  sightword doctor --json            for programs")]
pub(crate) struct Doctor {
    #[command(flatten)]
    place: Place,

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
    let checks = Collection::check(&args.place.find()?, &encoder);
    let failed = checks.iter().any(|check| matches!(check.state, CheckState::Fail));
    for check in &checks {
        if args.json {
            print_json(check, console)?;
        } else if !console.is_quiet() {
            print(check, console)?;
        }
    }
    Ok(if failed { Outcome::Nothing } else { Outcome::Found })
}

fn name(state: &CheckState) -> (&'static str, Style) {
    match state {
        CheckState::Ok => ("ok", AnsiColor::Green.on_default()),
        CheckState::Warn => ("warn", AnsiColor::Yellow.on_default()),
        CheckState::Fail => ("fail", AnsiColor::Red.on_default().bold()),
    }
}

/// `ok|warn|fail name — detail — fix`
fn print(check: &Check, console: &mut Console) -> anyhow::Result<()> {
    let (state, style) = name(&check.state);
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
    let (state, _) = name(&check.state);
    let (name, detail, fix) = (&*check.name, &*check.detail, check.fix.as_deref());
    json::line(&CheckLine { state, name, detail, fix }, console.out())?;
    Ok(())
}
