//! `odyssey demo`: a story of customers through the whole system, told as it happens and held to
//! what the journeys say. The stories are files beneath `events/demo`, one for each workspace of
//! `examples`.

pub mod deed;
mod evidence;
mod outcome;
mod play;
pub mod story;
mod table;
mod telling;

use crate::args::DemoArgs;
use crate::screen::{Screen, Style};
use crate::standing::{self, Plan, Standing};
use crate::{Exit, Failure, local};
use odyssey_domain::catalog::JourneyState;
use odyssey_domain::time::Span;
use odyssey_local::Pace;
use std::path::Path;
use std::time::Duration;
use story::Story;
use telling::Telling;

/// How long one waits, after a story is over, for what is still under way.
const SETTLING: Duration = Duration::from_secs(20);
/// The name that stands for every story.
const ALL: &str = "all";

/// Runs the command.
///
/// # Errors
/// Where the stack cannot be built or started, or a story not be read.
pub async fn run(screen: &Screen, args: &DemoArgs) -> Result<Exit, Failure> {
    let root = standing::repository()?;
    let folder = root.join("events").join("demo");
    let names = story::names(&folder)?;
    let asked = match args.workspace.as_str() {
        ALL => names,
        one if names.iter().any(|name| name == one) => vec![one.to_owned()],
        other => {
            let names = names.join(", ");
            return Err(Failure::Asked(format!("no story of `{other}`; there are {names}, all")));
        }
    };
    let stays = screen.is_terminal() && !args.ci && asked.len() == 1;
    let mut exit = Exit::Right;
    for name in &asked {
        let story = story::read(&folder, name)?;
        if play_one(screen, args, &root, &story, stays).await? == Exit::Wrong {
            exit = Exit::Wrong;
        }
    }
    Ok(exit)
}

/// Plays one story, on a stack of its own.
async fn play_one(
    screen: &Screen,
    args: &DemoArgs,
    root: &Path,
    story: &Story,
    stays: bool,
) -> Result<Exit, Failure> {
    let title = format!("{}: everything runs on this machine, no mail leaves it.", story.title);
    screen.line(&screen.paint(Style::Strong, &title));
    let plan = Plan {
        workspace: root.join("examples").join(&story.workspace),
        root: root.to_owned(),
        speed: story.speed,
        start: Some(story.start),
        pace: Pace::Patient,
        port: 0,
        data: None,
        functions: None,
    };
    let standing = standing::start(screen, plan).await?;
    screen.line("starting the functions …");
    standing.stack.warm().await;
    introduce(screen, &standing, story);
    let keys = standing.stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
    let telling = Telling::begin(screen.clone(), &standing.stack, story, &keys);
    play::story(&standing, story, &telling).await?;
    settle(&standing, story).await;
    let mut ended = telling.end().await;
    ended.problems.extend(outcome::strangers(&ended.heard));
    let judged = outcome::judge(&standing.stack, &keys, story, &ended).await?;
    let mails = args.out.join(&story.workspace);
    write_mails(&standing, &mails)?;
    outcome::tell(screen, &judged, &ended, &mails);
    let right = judged.iter().all(outcome::Judged::is_right) && ended.problems.is_empty();
    if args.json {
        screen.line(&outcome::to_json(story, &judged, &ended).to_string());
    }
    if stays {
        let _word = standing::leave_word(&standing.stack)?;
        screen.line("");
        local::tell_addresses(screen, &standing, story.speed);
        local::interrupted().await?;
    }
    standing.stack.stop().await?;
    Ok(if right { Exit::Right } else { Exit::Wrong })
}

fn introduce(screen: &Screen, standing: &Standing, story: &Story) {
    let journeys = &standing.built.workspace.journeys;
    let live = journeys.iter().filter(|(_, file)| file.state == JourneyState::Live);
    let names: Vec<String> = live.map(|(name, _)| name.to_string()).collect();
    screen.line(&format!("published examples/{}: {}", story.workspace, names.join(", ")));
    let speed = u64::from(story.speed.max(1));
    let hour = Span::HOUR.ms() / speed / 1_000;
    let whole = story.until.since(story.start).ms() / speed / 1_000;
    screen.line(&format!(
        "1 h = {hour} s; times are the customers' own, the whole takes {whole} s or more: their clock waits for slow machines\n"
    ));
}

/// Waits until the story is over and nothing is under way.
async fn settle(standing: &Standing, story: &Story) {
    let stack = &standing.stack;
    stack.clock().until(story.until).await;
    // What is still under way after that is told by the table.
    let _ = tokio::time::timeout(SETTLING, stack.idle(story.until)).await;
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
