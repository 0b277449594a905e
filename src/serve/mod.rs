//! What do programs and browsers ask over HTTP, and what are they answered? The API and the web page.
//!
//! Every answer comes from a [`Collection`](crate::collection::Collection), in the shapes of
//! [`wire`](crate::wire): nothing is decided here but who may ask, how much, and in which words an error
//! is told. Pictures are named by their ids, never by a path.
//!
//! | file | answers |
//! | --- | --- |
//! | `options.rs` | how is a server set up? |
//! | `server.rs` | how are connections taken, and how does it all end? |
//! | `shared.rs` | what do all requests share, and how many run at once? |
//! | `snapshot.rs` | which commit of the index is searched, and when does the next one show? |
//! | `guard.rs`, `access.rs` | may this request pass? |
//! | `problem.rs`, `dialect.rs` | how is an error told, in each client's way? |
//! | `input.rs` | how are bodies and parameters read? |
//! | `routes.rs` | what can be asked? The routes and their OpenAPI document |
//! | `ask.rs`, `search.rs`, `explain.rs` | which pictures match, and why? |
//! | `browse.rs`, `cursor.rs` | which pictures are there, and where does the next page begin? |
//! | `images.rs`, `thumbnail.rs`, `shelf.rs`, `heatmap.rs` | what is in one picture, and where? |
//! | `words.rs` | which words, folders and cameras are there? |
//! | `index.rs`, `jobs.rs` | what does the index hold, and how is it brought up to date? |
//! | `tei.rs`, `cohere.rs`, `relevance.rs` | the same for clients of text-embeddings-inference and Cohere |
//! | `status.rs`, `metrics.rs` | is it well, and how busy? |
//! | `page.rs`, `page/` | the web page |
#![forbid(unsafe_code)]

mod access;
mod ask;
mod browse;
mod cohere;
mod cursor;
mod dialect;
mod explain;
mod guard;
mod heatmap;
mod images;
mod index;
mod input;
mod jobs;
mod metrics;
mod options;
mod page;
mod problem;
mod relevance;
mod routes;
mod search;
mod server;
mod shared;
mod shelf;
mod snapshot;
mod status;
mod tei;
mod thumbnail;
mod words;

pub use options::{Limits, ServeOptions};
pub use routes::openapi;
pub use server::{ServeError, Server};
