//! Publishing: compiling a workspace, planning what a publication changes, carrying it out.

pub mod markers;
pub mod mjml;
