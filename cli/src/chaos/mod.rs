//! `odyssey chaos`: the real functions on the local stack, broken on purpose, and what came of it.
//!
//! Two parts. The *set plan* is comparable with other systems: so many journeys of three mails each,
//! and after one in a hundred mails that SES accepted every process of `sender` is killed before it
//! hears of it. The *storm* goes on for some minutes: customers keep coming while functions are
//! killed, services cut off, throttled and reset, answers lost, events delivered twice, and the whole
//! stack is restarted on its database file. Then everything is mended, dead letters are put back, the
//! stack comes to rest, and the tables and the mailbox are asked what the simulator asks.

mod audit;
mod field;
mod people;
mod storm;

use crate::args::ChaosArgs;
use crate::screen::{Screen, Style};
use crate::{Exit, Failure};
use audit::Verdict;
use field::Field;
use people::People;
use serde_json::json;
use std::time::{Duration, Instant};
use storm::Counts;

/// How long the mended stack may take to come to rest, in real time: SQS hides what a killed process
/// held, and doubles that with each failure, up to 15 minutes.
const REST: Duration = Duration::from_mins(40);

/// Runs the command.
///
/// # Errors
/// Where the stack cannot be built or started, or does not come to rest.
pub async fn run(screen: &Screen, args: &ChaosArgs) -> Result<Exit, Failure> {
    let mut field = Field::start(screen).await?;
    let began = now();
    let mut people = People::default();
    let mut counts = Counts::default();
    if args.journeys > 0 {
        tell(screen, began, &format!("the set plan: {} journeys of three mails", args.journeys));
        field.kill_one_in_a_hundred_senders();
        people.come(&field, args.journeys).await?;
        rest(screen, began, &field).await?;
        counts.sender_kills = field.injected_kills();
        field.mend();
        let verdict = audit::judge(&mut field, &people).await?;
        say(screen, began, "the set plan", &verdict);
    }
    let until = Duration::from_secs(args.minutes * 60);
    if args.minutes > 0 {
        tell(screen, began, &format!("the storm: {} minutes, seed {}", args.minutes, args.seed));
        storm::rage(screen, &mut field, &mut people, &mut counts, until, args.seed).await?;
        field.mend();
        tell(screen, began, "mended; waiting until the stack comes to rest");
        let mut letters = usize::MAX;
        while letters > 0 {
            rest(screen, began, &field).await?;
            letters = field.redrive().await?;
            counts.redriven += letters;
        }
    }
    let verdict = audit::judge(&mut field, &people).await?;
    say(screen, began, "in all", &verdict);
    if args.json {
        screen.line(&json!({"seed": args.seed, "faults": counts, "verdict": verdict}).to_string());
    } else {
        counts.tell(screen);
        verdict.tell(screen);
    }
    Ok(if verdict.is_right() { Exit::Right } else { Exit::Wrong })
}

fn now() -> Instant {
    Instant::now()
}

fn tell(screen: &Screen, began: Instant, text: &str) {
    let passed = began.elapsed().as_secs();
    let at = screen.paint(Style::Faint, &format!("{:>2}:{:02}", passed / 60, passed % 60));
    screen.error(&format!("{at}  {text}"));
}

fn say(screen: &Screen, began: Instant, what: &str, verdict: &Verdict) {
    let Verdict { messages, duplicates, lost, unconfirmed, .. } = verdict;
    tell(
        screen,
        began,
        &format!(
            "{what}: {messages} mails, {duplicates} twice, {lost} lost, {unconfirmed} unconfirmed"
        ),
    );
}

/// Waits until nothing goes on any more, customers' timers included.
async fn rest(screen: &Screen, began: Instant, field: &Field) -> Result<(), Failure> {
    let rested = async {
        let mut ticker = tokio::time::interval(Duration::from_secs(20));
        let quiet = field.quiet();
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                () = &mut quiet => return,
                _ = ticker.tick() => tell(screen, began, &field.depths()),
            }
        }
    };
    tokio::time::timeout(REST, rested).await.map_err(|_| {
        Failure::Stack(format!(
            "no rest within {} minutes: {}",
            REST.as_secs() / 60,
            field.depths()
        ))
    })
}
