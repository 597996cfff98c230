//! `odyssey profile`: one customer's profile in an operator's hands.

pub mod id;
mod show;
mod split;
pub mod why;

use crate::args::{Profile, ProfileArgs};
use crate::screen::Screen;
use crate::{Exit, Failure};

/// Runs the command.
///
/// # Errors
/// Where an id is none, or the stack cannot be read or written.
pub async fn run(screen: &Screen, args: &ProfileArgs) -> Result<Exit, Failure> {
    match &args.what {
        Profile::Show(args) => show::run(screen, args).await,
        Profile::Why(args) => why::run(screen, args).await,
        Profile::Split(args) => split::run(screen, args).await,
    }
}
