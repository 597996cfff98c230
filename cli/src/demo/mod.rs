//! `odyssey demo`: a recorded day of shoppers through the whole system, told as it happens and
//! held to what the journeys say.

pub mod day;
mod outcome;
mod play;
mod story;

use crate::args::DemoArgs;
use crate::screen::{Screen, Style};
use crate::standing::{self, Plan, Standing};
use crate::{Exit, Failure, local};
use day::Day;
use odyssey_domain::time::Span;
use std::path::Path;
use std::time::Duration;
use story::Story;

/// How long one waits, after the day is over, for what is still under way.
const SETTLING: Duration = Duration::from_secs(20);

/// Runs the command.
///
/// # Errors
/// Where the stack cannot be built or started, or the recording not be read.
pub async fn run(screen: &Screen, args: &DemoArgs) -> Result<Exit, Failure> {
    let root = standing::repository()?;
    let day = day::read(&root.join("events").join("demo"))?;
    screen.line(&screen.paint(
        Style::Strong,
        "A day in the life of a shop: everything runs on this machine, no mail leaves it.",
    ));
    let plan = Plan {
        workspace: root.join("examples").join("storefront"),
        root,
        speed: day.expected.speed,
        start: Some(day.start),
        port: 0,
        data: None,
        functions: None,
    };
    let standing = standing::start(screen, plan).await?;
    introduce(screen, &day);
    let keys = standing.stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
    let story = Story::begin(screen.clone(), &standing.stack, &day, &keys);
    play::warm(&standing).await?;
    play::day(&standing, &day, &story).await?;
    settle(&standing, &day).await;
    let ended = story.end().await;
    let judged = outcome::judge(&standing.stack, &keys, &day).await?;
    write_mails(&standing, &args.out)?;
    outcome::tell(screen, &judged, &ended, &args.out);
    let right = judged.iter().all(outcome::Judged::is_right) && ended.problems.is_empty();
    if args.json {
        screen.line(&outcome::to_json(&judged, &ended).to_string());
    }
    if screen.is_terminal() && !args.ci {
        let _word = standing::leave_word(&standing.stack)?;
        screen.line("");
        local::tell_addresses(screen, &standing, day.expected.speed);
        local::interrupted().await?;
    }
    standing.stack.stop().await?;
    Ok(if right { Exit::Right } else { Exit::Wrong })
}

fn introduce(screen: &Screen, day: &Day) {
    screen.line("published examples/storefront: cart-recovery, browse-nudge, order-thanks");
    let speed = u64::from(day.expected.speed.max(1));
    let hour = Span::HOUR.ms() / speed / 1_000;
    let whole = day.until.since(day.start).ms() / speed / 1_000;
    screen.line(&format!(
        "1 h = {hour} s; times are the customers' own, the whole takes {whole} s\n"
    ));
}

/// Waits until the day is over and nothing is under way.
async fn settle(standing: &Standing, day: &Day) {
    let stack = &standing.stack;
    let left = stack.clock().real(day.until.since(stack.now()));
    tokio::time::sleep(left).await;
    // What is still under way after that is told by the table.
    let _ = tokio::time::timeout(SETTLING, stack.idle(day.until)).await;
}

/// Every mail as a file that a browser opens.
fn write_mails(standing: &Standing, folder: &Path) -> Result<(), Failure> {
    let failed = |cause| Failure::File { path: folder.to_owned(), cause };
    // Files of an earlier run would be taken for this one's.
    if let Ok(entries) = std::fs::read_dir(folder) {
        for entry in entries.flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "html") {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (number, mail) in standing.stack.mailbox().all().iter().enumerate() {
        let safe = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
        };
        let to = mail.to.first().map(|to| safe(to.split('@').next().unwrap_or(to)));
        let step = mail.tags.get("step").map_or("confirm", String::as_str);
        let name = format!("{:02}-{}-{}.html", number + 1, to.unwrap_or_default(), safe(step));
        std::fs::write(folder.join(name), &mail.html).map_err(failed)?;
    }
    Ok(())
}
