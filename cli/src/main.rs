//! `cargo odyssey`.

use clap::Parser;
use odyssey::args::Cli;
use odyssey::screen::{Screen, Style};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new();
    match odyssey::run(&screen, &cli) {
        Ok(odyssey::Exit::Right) => ExitCode::SUCCESS,
        Ok(odyssey::Exit::Wrong) => ExitCode::from(1),
        Err(failure) => {
            screen.error(&format!("{} {failure}", screen.paint(Style::Bad, "error:")));
            ExitCode::from(failure.code())
        }
    }
}
