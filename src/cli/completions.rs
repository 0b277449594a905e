//! `sightword completions`: made from the arguments themselves.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::console::Console;
use super::{Cli, Outcome};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword completions bash > ~/.local/share/bash-completion/completions/sightword
  sightword completions zsh > ~/.zfunc/_sightword
  sightword completions fish > ~/.config/fish/completions/sightword.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Completions, console: &mut Console) -> anyhow::Result<Outcome> {
    // The generator panics where it cannot write; a broken pipe is ours to answer.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sightword", &mut script);
    console.out().write_all(&script)?;
    Ok(Outcome::Found)
}
