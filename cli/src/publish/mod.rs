//! Publishing: compiling a workspace, planning what a publication changes, carrying it out.

pub mod build;
pub mod command;
pub mod directory;
pub mod markers;
pub mod mjml;
pub mod plan;
pub mod sample;
