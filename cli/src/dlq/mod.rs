//! `odyssey dlq`: what could not be dealt with, why, and back onto its queue.

pub mod letters;

use crate::args::{Dlq, DlqArgs, DlqListArgs, DlqRedriveArgs, DlqShowArgs};
use crate::explain::clock;
use crate::screen::{Screen, Style};
use crate::stack::{self, Connection};
use crate::{Exit, Failure};
use letters::{Holding, LETTERS_MAX, Letter, Of, failed, hold, let_go};
use odyssey_aws::Held;
use odyssey_flows::ports::Table;
use odyssey_flows::queue::redriven;
use std::collections::BTreeMap;

/// Runs the command.
///
/// # Errors
/// Where the queues cannot be read or written.
pub async fn run(screen: &Screen, args: &DlqArgs) -> Result<Exit, Failure> {
    match &args.what {
        Dlq::List(args) => list(screen, args).await,
        Dlq::Show(args) => show(screen, args).await,
        Dlq::Redrive(args) => redrive(screen, args).await,
    }
}

fn connect(stack: &crate::args::StackArgs) -> Result<Connection, Failure> {
    stack::connect(stack, &[Table::Workspace])
}

async fn list(screen: &Screen, args: &DlqListArgs) -> Result<Exit, Failure> {
    let picked = Of::picked(&args.filter)?;
    let connection = connect(&args.stack)?;
    let mut all: Vec<Letter> = Vec::new();
    let mut more = false;
    for holding in hold(&connection, &picked).await? {
        let (held, letters): (Vec<Held>, Vec<Letter>) = holding.letters.into_iter().unzip();
        let_go(&holding.queue, &held).await;
        more |= holding.more;
        let wanted =
            |letter: &Letter| args.filter.reason.as_ref().is_none_or(|r| *r == letter.reason);
        all.extend(letters.into_iter().filter(wanted));
    }
    if args.json {
        let json = serde_json::to_string(&all);
        screen.line(&json.map_err(|error| Failure::Stack(error.to_string()))?);
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    if all.is_empty() {
        screen.line("No dead letters.");
        return Ok(Exit::Right);
    }
    let mut sums: BTreeMap<(Of, &str), usize> = BTreeMap::new();
    for letter in &all {
        *sums.entry((letter.of, &letter.reason)).or_default() += 1;
        tell(screen, letter);
    }
    screen.line("");
    for ((of, reason), count) in sums {
        screen.line(&format!("{count:>6}  {:<8}  {reason}", of.name()));
    }
    if more {
        screen.line(&format!("There are more: {LETTERS_MAX} of each queue were looked at."));
    }
    screen.line(&screen.paint(
        Style::Faint,
        "Mend the cause first, then `cargo odyssey dlq redrive ID… --yes`, or --all.",
    ));
    Ok(Exit::Right)
}

fn tell(screen: &Screen, letter: &Letter) {
    let since = letter.since.map(clock).unwrap_or_default();
    let reason = screen.paint(Style::Bad, &letter.reason);
    let id = screen.paint(Style::Name, letter.id.get(..8).unwrap_or(&letter.id));
    screen.line(&format!(
        "{id}  {since}  {:<8}  {reason}  {} bytes",
        letter.of.name(),
        letter.bytes
    ));
    for cause in &letter.chain {
        screen.line(&format!("          {cause}"));
    }
}

async fn show(screen: &Screen, args: &DlqShowArgs) -> Result<Exit, Failure> {
    let connection = connect(&args.stack)?;
    let ids = std::slice::from_ref(&args.id);
    let mut found = Vec::new();
    for holding in hold(&connection, &Of::ALL).await? {
        let (held, letters): (Vec<Held>, Vec<Letter>) = holding.letters.into_iter().unzip();
        let_go(&holding.queue, &held).await;
        found.extend(letters.into_iter().filter(|letter| letter.is_one_of(ids)));
    }
    for letter in &found {
        tell(screen, letter);
        match letter.home {
            Some(home) => screen.line(&format!("          goes back to {home}")),
            None => screen.line("          nothing listens to it: it cannot go back"),
        }
        let pretty = serde_json::from_str::<serde_json::Value>(&letter.body)
            .map_or_else(|_| letter.body.clone(), |value| format!("{value:#}"));
        screen.line(&pretty);
    }
    if found.is_empty() {
        return Err(Failure::Asked(format!("no dead letter's id begins with {}", args.id)));
    }
    Ok(Exit::Right)
}

async fn redrive(screen: &Screen, args: &DlqRedriveArgs) -> Result<Exit, Failure> {
    let picked = Of::picked(&args.filter)?;
    let connection = connect(&args.stack)?;
    screen.line(&screen.paint(Style::Faint, &format!("on {}", connection.name)));
    let wanted = |letter: &Letter| {
        let reason = args.filter.reason.as_ref().is_none_or(|reason| *reason == letter.reason);
        let picked = (args.all || letter.is_one_of(&args.ids)) && reason;
        if picked {
            tell(screen, letter);
        }
        match letter.home {
            None if picked => screen.line("          nothing listens to it: it stays"),
            _ => {}
        }
        picked
    };
    let PutBack { back, stuck } = put_back(&connection, &picked, wanted, args.yes).await?;
    let them = if back == 1 { "dead letter" } else { "dead letters" };
    screen.line(&match (back, args.yes) {
        (0, _) => "No dead letter was put back.".to_owned(),
        (n, true) => format!("{n} {them} went back."),
        (n, false) => format!("{n} {them} would go back. --yes does it."),
    });
    Ok(if stuck > 0 || back == 0 { Exit::Wrong } else { Exit::Right })
}

/// How many dead letters went back onto their queues, and how many have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutBack {
    /// These went back, or would.
    pub back: usize,
    /// Nothing listens to these: they stay.
    pub stuck: usize,
}

/// Puts the wanted dead letters back onto the queues they came from, marked as [`redriven`]; only
/// counts them where it is not to be done.
///
/// # Errors
/// Where a queue cannot be read or written.
pub async fn put_back(
    connection: &Connection,
    of: &[Of],
    wanted: impl Fn(&Letter) -> bool,
    do_it: bool,
) -> Result<PutBack, Failure> {
    let mut sum = PutBack::default();
    for Holding { queue, letters, .. } in hold(connection, of).await? {
        let mut kept: Vec<Held> = Vec::new();
        for (held, letter) in letters {
            match letter.home {
                _ if !wanted(&letter) => kept.push(held),
                None => {
                    sum.stuck += 1;
                    kept.push(held);
                }
                Some(home) => {
                    sum.back += 1;
                    if !do_it {
                        kept.push(held);
                        continue;
                    }
                    // Sent first, taken off after: between the two it is there twice, which does
                    // no harm.
                    let home = connection.queue(home)?;
                    home.send(&redriven(&letter.body)).await.map_err(|e| failed(connection, &e))?;
                    queue.delete(&held).await.map_err(|e| failed(connection, &e))?;
                }
            }
        }
        let_go(&queue, &kept).await;
    }
    Ok(sum)
}
