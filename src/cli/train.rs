//! `sightword train`: a model that learns from photos with captions and labels.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sightword::train::{DevReport, Event, Plan, Processor, Summary, TrainConfig, train};
use sightword::wire::raw_bytes;

use super::Outcome;
use super::console::Console;
use super::format::{count, counted};
use super::place::Model;
use super::progress::Bar;
use super::signal::Grace;

/// Train a model on photos with captions
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword train train.toml --out run                   from the model inside the program
  sightword train train.toml --out run --resume          go on after Ctrl-C or a crash
  sightword train train.toml --out run --check           only read what is there
  sightword search --model run/model --in photos 'dog'   use what was learnt")]
pub(crate) struct Train {
    /// What to learn from, and how; examples/train.toml explains every key
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Where the model, checkpoints, metrics and a report with curves go
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// Go on with the run that DIR holds
    #[arg(long)]
    resume: bool,

    /// Stop after this stage; --resume goes on
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,

    /// What computes the steps; a GPU needs a program that was built for it
    #[arg(long, value_name = "DEVICE", value_enum, default_value_t)]
    device: TrainDevice,

    /// Read the config and all records, say what is there, train nothing
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum TrainDevice {
    #[default]
    Cpu,
    Cuda,
    Metal,
}

impl From<TrainDevice> for Processor {
    fn from(device: TrainDevice) -> Self {
        match device {
            TrainDevice::Cpu => Self::Cpu,
            TrainDevice::Cuda => Self::Cuda,
            TrainDevice::Metal => Self::Metal,
        }
    }
}

pub(crate) fn run(args: &Train, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let config = TrainConfig::open(&args.config)?;
    let encoder = model.load()?;
    let plan = Plan::new(&config, &encoder, &args.out)?.on(args.device.into())?;
    say_summary(plan.summary(), console);
    if args.check {
        return Ok(Outcome::Found);
    }
    let grace = Grace::begin()?;
    let bar = Bar::new(console);
    let trained = train(plan, args.resume, args.until.as_deref(), &mut |event| {
        match event {
            Event::Photos { done, total } => {
                bar.count("frozen blocks", Some("img"), done as u64, total as u64);
            }
            Event::Teachers { done, total } => {
                bar.count("teachers", Some("img"), done as u64, total as u64);
            }
            Event::Skipped(told) => bar.suspend(|| console.warn(format_args!("left out {told}"))),
            Event::Step { stage, done, total } => {
                bar.count(stage, Some("step"), done as u64, total as u64);
            }
            Event::Measured { stage, step, report } => {
                bar.suspend(|| say_measured(stage, step, report, console));
            }
            _ => {}
        }
        grace.flow()
    });
    bar.clear();
    let Some(model) = trained? else {
        console.say("sightword: stopped; the same command with --resume goes on");
        return Ok(Outcome::Interrupted);
    };
    console.out().write_all(&raw_bytes(&model))?;
    console.out().write_all(b"\n")?;
    Ok(Outcome::Found)
}

fn say_summary(summary: &Summary, console: &Console) {
    console.say(format_args!(
        "{} to learn from, {} to measure on, {}",
        counted(summary.train as u64, "photo", "photos"),
        count(summary.dev as u64),
        counted(summary.captions as u64, "caption", "captions"),
    ));
    for (&reason, &number) in &summary.skipped {
        console.warn(format_args!("left out {}", reason.told(number)));
    }
}

fn say_measured(stage: &str, step: usize, report: &DevReport, console: &Console) {
    let (there, back) = (report.t2i, report.i2t);
    console.say(format_args!(
        "{stage}, step {}: text → image {:.1} {:.1} {:.1}, image → text {:.1} {:.1} {:.1}, \
         tokens {:.0} a photo and {:.0} a caption, {} dead",
        count(step as u64),
        there.r1,
        there.r5,
        there.r10,
        back.r1,
        back.r5,
        back.r10,
        report.image_tokens,
        report.text_tokens,
        count(report.dead as u64),
    ));
}
