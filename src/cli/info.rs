//! `sightword info`: what the index holds.

use clap::Args;
use serde::Serialize;
use sightword::collection::Info;

use super::Outcome;
use super::console::Console;
use super::format::{self, count};
use super::json::{self, JsonPath};
use super::place::{Model, Place};

/// Say what the index holds, and with which model it was made
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "\
  sightword info                   the nearest index here or above
  sightword info --in ~/Photos     the index of a folder
  sightword info --json            for programs")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    place: Place,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &InfoArgs, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let collection = args.place.open(model.load()?)?;
    let info = collection.info()?;
    if args.json {
        print_json(&info, console)?;
    } else if !console.is_quiet() {
        print(&info, console)?;
    }
    Ok(Outcome::Found)
}

fn print(info: &Info, console: &mut Console) -> anyhow::Result<()> {
    Ok(())
}

fn print_json(info: &Info, console: &mut Console) -> anyhow::Result<()> {
    Ok(())
}
