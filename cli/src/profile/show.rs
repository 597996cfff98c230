//! `odyssey profile show`: everything about one customer, in a terminal.

use crate::args::ProfileShowArgs;
use crate::customer::find::{Whom, find};
use crate::customer::history::EntryKind;
use crate::customer::sections::{self, Section, Shown};
use crate::customer::signals::{Verdict, in_words};
use crate::customer::text::{clean, number, several, value};
use crate::customer::{Customer, Wanted, gather, when};
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_flows::ports::Table;
use odyssey_flows::read_timeline::{Cursor, Direction};

/// Runs the command.
///
/// # Errors
/// Where the id or the cursor is none, or the stack cannot be read.
pub(super) async fn run(screen: &Screen, args: &ProfileShowArgs) -> Result<Exit, Failure> {
    let before: Option<Cursor> = args
        .before
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| Failure::Asked(format!("--before: {error}")))?;
    let used = [
        Table::Profiles,
        Table::Timeline,
        Table::Contacts,
        Table::Enrollments,
        Table::Ledger,
        Table::Workspace,
    ];
    let connection = stack::connect(&args.stack, &used)?;
    let keys = connection.keyring().await?;
    let tables = connection.tables();
    let failed = |error| Failure::Stack(format!("{}: {error}", connection.name));
    let (profile, root) = match find(&tables, &keys, &args.id).await.map_err(failed)? {
        Whom::One(profile, root) => (profile, root),
        Whom::Several(profiles) => {
            let head = if profiles.len() == 1 { "A customer" } else { "Several customers" };
            screen.line(&format!("{head} gave this address:"));
            for (profile, theirs) in profiles {
                let word = if theirs { "it is theirs" } else { "it was theirs before" };
                screen.line(&format!(
                    "  {}  {word}",
                    screen.paint(Style::Name, &profile.to_string())
                ));
            }
            return Ok(Exit::Wrong);
        }
        Whom::Nobody => {
            return Err(Failure::Asked(
                "nobody: no event was ever folded under this address or id".to_owned(),
            ));
        }
        Whom::Erased => return Err(Failure::Asked("this customer was erased".to_owned())),
        Whom::NoId(error) => return Err(Failure::Asked(error)),
    };
    let direction = if args.oldest_first { Direction::OldestFirst } else { Direction::NewestFirst };
    let wanted = Wanted { direction, after: before, events: args.events };
    let customer =
        gather(&tables, &keys, profile, &root, wanted, connection.now()).await.map_err(failed)?;
    if args.json {
        let json = serde_json::to_string(&customer);
        screen.line(&json.map_err(|error| Failure::Stack(error.to_string()))?);
        return Ok(Exit::Right);
    }
    tell(screen, &customer, args);
    let page = connection.url.as_ref().map(|url| format!("{url}/customers/{profile}"));
    screen.line("");
    screen.line(&screen.paint(
        Style::Faint,
        &match page {
            Some(page) => format!("the same as a page: {page}"),
            None => format!("read from {}", connection.name),
        },
    ));
    Ok(Exit::Right)
}

fn tell(screen: &Screen, customer: &Customer, args: &ProfileShowArgs) {
    let faint = |text: &str| screen.paint(Style::Faint, text);
    let email = customer.email.as_deref().filter(|email| *email != customer.name);
    screen.line(&format!(
        "{}  {}  {}",
        screen.paint(Style::Strong, &customer.name),
        email.unwrap_or_default(),
        faint(&customer.profile.to_string())
    ));
    who(screen, customer);
    reachable(screen, customer);
    if !customer.segments.is_empty() {
        head(screen, "Segments");
        for segment in &customer.segments {
            let since = when::both(segment.since);
            screen.line(&format!("  {:<24} since {since}, by {}", segment.name, segment.by));
        }
    }
    if !customer.traits.is_empty() {
        head(screen, "Traits");
        for (name, found) in &customer.traits {
            let computed = if customer.computed.contains(name) { "  (computed)" } else { "" };
            screen.line(&format!("  {:<24} {}{computed}", clean(name, 60), value(found, 100)));
        }
    }
    for section in sections::of(&customer.facts) {
        tell_section(screen, &section);
    }
    tell_trimmed(screen, customer);
    signals(screen, customer);
    head(screen, "Journeys");
    if customer.enrollments.is_empty() {
        screen.line("  in none: no trigger of a live journey has happened");
    }
    for enrollment in &customer.enrollments {
        crate::explain::tell_enrollment(screen, enrollment);
    }
    history(screen, customer, args);
}

fn head(screen: &Screen, title: &str) {
    screen.line("");
    screen.line(&screen.paint(Style::Strong, title));
}

fn who(screen: &Screen, customer: &Customer) {
    for id in &customer.ids {
        let kind = id.kind.as_deref().unwrap_or("id");
        let plain = id.id.as_deref().map_or_else(|| id.key.to_string(), |id| clean(id, 80));
        let mut said = match &id.linked {
            None => vec!["the profile's own".to_owned()],
            Some(link) => {
                let by = link.event.as_deref().map(|event| format!(" by {}", clean(event, 60)));
                let at = link.at.map(|at| format!(" at {}", when::both(at)));
                let last = if link.is_final { ", for good" } else { "" };
                vec![format!("linked{}{}{last}", by.unwrap_or_default(), at.unwrap_or_default())]
            }
        };
        said.extend(id.events.map(|n| several(n, "event")));
        said.extend(id.last.map(|last| format!("seen {}", when::ago(customer.at, last))));
        screen.line(&format!(
            "  {kind:<10} {}  {}",
            screen.paint(Style::Name, &plain),
            screen.paint(Style::Faint, &said.join(", "))
        ));
    }
    if customer.ids_left_out > 0 {
        screen.line(&format!("  and {} more ids", customer.ids_left_out));
    }
    for line in customer.links.lines() {
        screen.line(&format!("  {}", screen.paint(Style::Warn, &line)));
    }
}

fn reachable(screen: &Screen, customer: &Customer) {
    head(screen, "May we write?");
    let Some(contact) = &customer.contact else {
        screen.line("  no: no address is known");
        for asked in &customer.waiting {
            let (topic, since) = (&asked.topic, when::ago(customer.at, asked.at));
            screen.line(&format!("  consent to {topic} was requested {since}: it waits for one"));
        }
        screen.line("  → identify the customer with a trait `email`");
        return;
    };
    if let Some((reason, at)) = &contact.suppressed {
        let text = format!("never: suppressed ({reason}) since {}", when::both(*at));
        screen.line(&format!("  {}", screen.paint(Style::Bad, &text)));
    }
    for topic in &contact.topics {
        let mark = if topic.mailable {
            screen.paint(Style::Good, "yes")
        } else {
            screen.paint(Style::Bad, "no ")
        };
        screen.line(&format!("  {mark} {:<16} {}", topic.topic, topic.state));
        if !topic.remedy.is_empty() {
            screen.line(&format!("      → {}", topic.remedy));
        }
    }
}

fn tell_section(screen: &Screen, section: &Section) {
    let lead = section.head.as_ref().map(|head| format!("  {head}")).unwrap_or_default();
    head(screen, &format!("{}{lead}", section.title));
    for line in &section.lines {
        let shown = match &line.shown {
            Shown::Text(text) => text.clone(),
            Shown::When(at) => when::both(*at),
            Shown::Bars(bars) => {
                let each: Vec<String> =
                    bars.iter().map(|bar| format!("{} {}", bar.name, bar.much)).collect();
                each.join(" · ")
            }
            Shown::Things(things) => {
                let each: Vec<&str> = things.iter().map(|thing| thing.name.as_str()).collect();
                each.join(" · ")
            }
        };
        screen.line(&format!("  {:<24} {shown}", line.label));
    }
}

fn tell_trimmed(screen: &Screen, customer: &Customer) {
    if !customer.trimmed.is_empty() || !customer.shortened.is_empty() || customer.cut {
        head(screen, "Trimmed");
        if !customer.trimmed.is_empty() {
            screen.line(&format!("  only the latest is kept of: {}", customer.trimmed.join(", ")));
        }
        if !customer.shortened.is_empty() {
            let kinds = customer.shortened.join(", ");
            screen.line(&format!("  too long to be kept whole: {kinds}"));
        }
        if customer.cut {
            screen.line("  the item grew past its limit once and was cut");
        }
    }
}

fn signals(screen: &Screen, customer: &Customer) {
    head(screen, "Signals");
    if customer.signals.is_empty() {
        screen.line("  none: nothing has reached a threshold");
    }
    for decision in &customer.signals {
        let style = if decision.verdict == Verdict::Raised { Style::Good } else { Style::Faint };
        screen.line(&format!(
            "  {} {} {} at {}, since {}",
            screen.paint(style, &decision.signal),
            decision.threshold,
            decision.verdict.words(),
            when::both(decision.at),
            when::both(decision.since)
        ));
        for (name, found) in decision.evidence.iter().flat_map(in_words) {
            screen.line(&format!("      {name}: {found}"));
        }
    }
    if let Some(more) = customer.signals_left_out() {
        screen.line(&format!("  {}", screen.paint(Style::Faint, &more)));
    }
}

fn history(screen: &Screen, customer: &Customer, args: &ProfileShowArgs) {
    head(screen, "What happened");
    let history = &customer.history;
    let mut day = String::new();
    for entry in &history.entries {
        let of = when::day(entry.at);
        if of != day {
            screen.line(&screen.paint(Style::Faint, &format!("  {of}")));
            day = of;
        }
        let style = match entry.kind {
            EntryKind::Event => Style::Plain,
            EntryKind::Signal => Style::Warn,
            EntryKind::Mail => Style::Good,
        };
        screen.line(&format!(
            "  {} {}  {}",
            when::time(entry.at),
            screen.paint(style, &entry.text),
            screen.paint(Style::Faint, &entry.notes.join(" · "))
        ));
    }
    if let Some((from, to)) = history.crowded {
        screen.line(&format!(
            "  between {} and {} more happened than one page reads: some may be missing or out of order",
            when::both(from),
            when::both(to)
        ));
    }
    if history.unreadable > 0 {
        let rows = number(u64::try_from(history.unreadable).unwrap_or(u64::MAX));
        screen.line(&format!("  {rows} rows cannot be read by this release"));
    }
    if let Some(next) = &history.next {
        let order = if args.oldest_first { " --oldest-first" } else { "" };
        screen.line(&screen.paint(
            Style::Faint,
            &format!(
                "  more: cargo odyssey profile show {}{order} --before {next}",
                customer.profile
            ),
        ));
    }
}
