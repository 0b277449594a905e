//! `sightword serve`: the web page and the HTTP API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use clap::Args;
use sightword::serve::{ServeOptions, Server};

use super::Outcome;
use super::console::Console;
use super::place::{Model, Place, Second};
use super::search::open_or_index;
use super::signal::Grace;

/// Answer a browser and other programs over HTTP
#[derive(Debug, Args)]
#[command(help_template = super::TEMPLATE, before_help = "Examples:
  sightword serve --in ~/Photos              then open http://127.0.0.1:7117
  sightword serve --port 0                   any free port; the first line says which
  sightword serve --host 0.0.0.0 --token …   for other machines too",
  after_long_help = MORE)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,

    /// The address to listen on; others than this machine's own need a token
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,

    /// The port to listen on; 0 for any free one
    #[arg(long, value_name = "N", default_value_t = 7117)]
    port: u16,

    /// What clients must know: `Authorization: Bearer …`
    #[arg(long, value_name = "TOKEN", env = "SIGHTWORD_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// A further name under which clients may reach it; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// An origin whose pages may read the answers (CORS); may be repeated
    #[arg(long, value_name = "URL")]
    allow_origin: Vec<String>,

    #[command(flatten)]
    second: Second,
}

const MORE: &str = "\
The page and the API are described by /openapi.json. New commits of the index show without a restart.
Only pictures of the index are ever sent, as small copies, and nothing asks any other host.

Ctrl-C finishes the requests that run and commits what a job has. Exit code: 0 stopped, 2 error.";

pub(crate) fn run(args: &Serve, model: &Model, console: &mut Console) -> anyhow::Result<Outcome> {
    let Some(collection) = open_or_index(&args.place, model.load()?, console)? else {
        return Ok(Outcome::Interrupted);
    };
    let mut options = ServeOptions::default();
    options.address = SocketAddr::new(args.host, args.port);
    options.token = args.token.clone();
    options.hosts.clone_from(&args.allow_host);
    options.origins.clone_from(&args.allow_origin);
    options.reranker = args.second.find(&Arc::clone(collection.encoder()))?;
    let server = Server::bind(collection, options)?;
    let grace = Grace::begin()?;
    writeln!(console.out(), "listening on http://{}", server.address())?;
    console.flush()?;
    server.run(&mut || grace.flow())?;
    Ok(Outcome::Found)
}
