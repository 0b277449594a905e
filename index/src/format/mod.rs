//! Which bytes stand where on disk?
//!
//! | file | holds |
//! | --- | --- |
//! | [`container`] | what both files share: head, aligned sections, section table, checksums |
//! | [`inverted`] | the `.swx` file, token → documents and impacts, cut into windows |
//! | [`cell`] | what a list has in one window |
//! | [`forward`] | the `.swf` file, document → tokens, impacts and patches |
//! | [`verify`] | reads both to the last byte and compares them |
//!
//! Reader and writer of a file stand side by side. `FORMAT.md` says the same in words.

pub(crate) mod cell;
pub(crate) mod container;
#[cfg(test)]
mod example;
pub(crate) mod forward;
pub(crate) mod inverted;
#[cfg(test)]
mod tests;
pub(crate) mod verify;

#[cfg(target_endian = "big")]
compile_error!("the files are little-endian and are used as they are mapped");
