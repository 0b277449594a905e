//! What is in this folder of pictures, and what does each file show?
//!
//! [`walk()`] lists the files, [`hash_file`] tells whether one is known already, [`read`] turns one
//! into a [`Picture`]: upright RGB pixels, the facts of its EXIF block and the hash of its bytes.
//! [`resize()`] brings the pixels to a model's input size, and [`parallel_map`] does all this on
//! several threads in bounded memory.
//!
//! Files are outside input. A damaged, huge, mislabelled or vanished one is an error that names it,
//! never a panic: a decoder's own panic is caught, file by file (see [`silence_decoder_panics`]).
//! No file is ever written.
//!
//! ```
//! use sightword::ingest::{DecodeOptions, WalkOptions, read, resize, walk};
//!
//! let root = std::path::Path::new("examples/photos");
//! let found = walk(root, &WalkOptions::default())?;
//! let picture = read(&root.join(&found.files[0].path), &DecodeOptions::default())?;
//! assert_eq!((picture.facts.width, picture.facts.height), (512, 512));
//! assert_eq!(resize(&picture.pixels, 224, 224).len(), 224 * 224 * 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod colour;
mod decode;
mod exif;
mod format;
#[cfg(feature = "heic")]
mod heic;
mod id;
#[cfg(feature = "avif")]
mod isobmff;
mod jpeg;
mod jpeg_header;
mod jxl;
mod orient;
mod picture;
mod pipeline;
mod quiet;
mod raster;
mod reduce;
mod resize;
mod walk;

pub use decode::{DecodeError, DecodeOptions, PREPROCESS_ID, ReadError, decode, hash_file, read};
pub use format::Format;
pub use id::{ContentId, ParseIdError};
pub use picture::{Facts, Picture, Pixels, Place, Taken, WrongLength};
pub use pipeline::parallel_map;
pub use quiet::silence_decoder_panics;
pub use resize::resize;
pub use walk::{FoundFile, Walk, WalkError, WalkOptions, WalkProblem, walk};
