//! The command line's help, as it is read. `INSTA_UPDATE=always cargo test -p odyssey` accepts a
//! change.

use clap::CommandFactory;
use odyssey::args::Cli;
use std::fmt::Write as _;

#[test]
fn the_whole_help() {
    let mut command = Cli::command();
    command.build();
    let mut text = command.render_long_help().to_string();
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        let sub = command.find_subcommand_mut(name).unwrap();
        write!(text, "\n\n=== {name} ===\n{}", sub.render_long_help()).unwrap();
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn every_command_says_what_it_talks_to() {
    let command = Cli::command();
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "schema") {
        let about = sub.get_long_about().map(ToString::to_string).unwrap_or_default();
        let says = ["Talks to", "talks to", "Reads profiles"].iter().any(|w| about.contains(w));
        assert!(says, "{}: {about}", sub.get_name());
    }
}
