//! Holds the rules of ARCHITECTURE.md that a program can hold: imports between crates, module headers, file
//! lengths, bounds that have tests, paths that exist. Reads the tree as it lies on disk, with or without git;
//! must never write, run a command or depend on where the checkout is.

mod bounds;
mod documents;
mod imports;
mod modules;
mod reference;
mod tree;
