//! From files to pictures: formats, facts, bad input, sizes, folders, threads.

mod damage;
mod facts;
mod folders;
mod formats;
mod pictures;
mod pipeline;
mod sizes;
