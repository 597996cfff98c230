//! `odyssey local`: the whole system on this machine, with a shop to try it.

use crate::args::LocalArgs;
use crate::screen::{Screen, Style};
use crate::standing::{self, Plan, Standing};
use crate::{Exit, Failure};
use odyssey_local::Pace;

/// Runs the command until it is interrupted.
///
/// # Errors
/// Where the stack cannot be built or started.
pub async fn run(screen: &Screen, args: &LocalArgs) -> Result<Exit, Failure> {
    let root = standing::repository()?;
    let workspace =
        if args.workspace.is_dir() { args.workspace.clone() } else { root.join(&args.workspace) };
    let plan = Plan {
        root,
        workspace,
        speed: args.speed,
        start: None,
        pace: Pace::Steady,
        port: args.port,
        data: args.data.clone(),
        functions: args.functions.clone(),
    };
    let standing = standing::start(screen, plan).await?;
    let _word = standing::leave_word(&standing.stack)?;
    tell_addresses(screen, &standing, args.speed);
    interrupted().await?;
    screen.line("stopping …");
    standing.stack.stop().await?;
    Ok(Exit::Right)
}

/// Waits for Ctrl-C.
///
/// # Errors
/// Where the process cannot listen for it.
pub async fn interrupted() -> Result<(), Failure> {
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Failure::Stack(format!("cannot wait for Ctrl-C: {error}")))
}

/// Says where everything is.
pub fn tell_addresses(screen: &Screen, standing: &Standing, speed: u32) {
    let url = standing.stack.api_url();
    let row = |name: &str, address: &str, what: &str| {
        screen.line(&format!(
            "  {name:<9} {}  {}",
            screen.paint(Style::Name, address),
            screen.paint(Style::Faint, what)
        ));
    };
    screen.line(&screen.paint(Style::Strong, "Odyssey runs on this machine; no mail leaves it."));
    row("shop", &format!("{url}/shop"), "sign up, consent, abandon your own cart");
    row("mailbox", &format!("{url}/mail"), "every mail, desktop and phone");
    row("customers", &format!("{url}/customers"), "everything about one, by e-mail or id");
    row("events", &format!("{url}/plan"), "what arrives, and what of it is not as planned");
    row("API", url, "point a Segment SDK here");
    for (name, key) in &standing.write_keys {
        row("write key", key, &format!("source {name}"));
    }
    let scale = f64::from(3_600) / f64::from(speed.max(1));
    screen.line(&format!("  time      an hour of the customers' takes {scale:.1} s of yours"));
    screen.line(&screen.paint(
        Style::Faint,
        "  elsewhere: cargo odyssey tail · explain EMAIL · publish examples/storefront; Ctrl-C stops",
    ));
}
