//! One customer, whole: what `odyssey profile show` and the page `/customers/ID` show.
//!
//! `find` says whom an operator means, [`gather`] reads everything there is about them, and
//! `sections`, `signals`, `event` and `history` put it into words, which both then lay out.

pub mod event;
pub mod find;
pub mod history;
pub mod ids;
pub mod links;
pub mod sections;
pub mod signals;
pub mod text;
pub mod when;

use crate::dossier::{self, ContactPart, EnrollmentPart, Send};
use history::History;
use ids::IdPart;
use links::LinksPart;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::ids::ProfileId;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::{ProfileView, Root};
use odyssey_domain::segment::{Member, SegmentName};
use odyssey_domain::time::Stamp;
use odyssey_flows::ports::Tables;
use odyssey_flows::read_timeline::{self, Cursor, Direction};
use odyssey_flows::stored::StoredError;
use serde::Serialize;
use serde_json::Value;
use signals::Decision;
use std::collections::BTreeMap;

/// The most raised signals that are told of.
pub const SIGNALS_MAX: usize = 50;
/// Traits that say how somebody is called, the best first.
const NAMES: [&str; 5] = ["name", "full_name", "firstName", "first_name", "username"];

/// Which part of the history is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// From which end.
    pub direction: Direction,
    /// From where on.
    pub after: Option<Cursor>,
    /// How many events.
    pub events: usize,
}

/// A segment that somebody is in.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentPart {
    /// Its name.
    pub name: String,
    /// Since when, as it was decided.
    pub since: Stamp,
    /// By what: `event`, `time`, `backfill`.
    pub by: String,
}

/// A request for consent that waits for an address to ask.
#[derive(Debug, Clone, Serialize)]
pub struct WaitingPart {
    /// The topic.
    pub topic: String,
    /// When it was requested.
    pub at: Stamp,
}

/// Everything about one customer.
#[derive(Debug, Clone, Serialize)]
pub struct Customer {
    /// When it was read; customer time.
    pub at: Stamp,
    /// The profile.
    pub profile: ProfileId,
    /// How they are called.
    pub name: String,
    /// The address to mail.
    pub email: Option<String>,
    /// What names them.
    pub ids: Vec<IdPart>,
    /// Further ids that are not told of.
    pub ids_left_out: usize,
    /// What was kept from the profile: refused claims, and what an operator split off.
    pub links: LinksPart,
    /// Traits, the computed ones among them.
    pub traits: BTreeMap<String, Value>,
    /// Those of them that the workspace computes.
    pub computed: Vec<String>,
    /// The segments they are in.
    pub segments: Vec<SegmentPart>,
    /// Facts by dotted name.
    pub facts: BTreeMap<String, Value>,
    /// UTC days with a deed, of the last 64, the latest first, counted from 1970.
    pub active_days: Vec<i64>,
    /// What each signal rule decided.
    pub signals: Vec<Decision>,
    /// Whether more were raised than the last [`SIGNALS_MAX`], which are all that is told.
    pub more_signals: bool,
    /// Journeys, the last entered first.
    pub enrollments: Vec<EnrollmentPart>,
    /// Mails, the last first.
    pub messages: Vec<Send>,
    /// Whether they may be written to; none without an address.
    pub contact: Option<ContactPart>,
    /// Requests for consent that wait for an address.
    pub waiting: Vec<WaitingPart>,
    /// The collections that hold less than there was.
    pub trimmed: Vec<String>,
    /// The kinds of texts and lists that were too long to be kept whole.
    pub shortened: Vec<String>,
    /// Whether the item once grew past its limit and was cut.
    pub cut: bool,
    /// A page of what happened.
    pub history: History,
}

impl Customer {
    /// That not every signal that was raised is told, where that is so.
    #[must_use]
    pub fn signals_left_out(&self) -> Option<String> {
        let text = format!(
            "the last {SIGNALS_MAX} that were raised are shown: there are more before them"
        );
        self.more_signals.then_some(text)
    }
}

/// Reads everything about a profile.
///
/// # Errors
/// Where a table cannot be read.
pub async fn gather(
    tables: &impl Tables,
    keys: &Keyring,
    profile: ProfileId,
    root: &Root,
    wanted: Wanted,
    now: Stamp,
) -> Result<Customer, StoredError> {
    let catalog = dossier::catalog(tables).await?;
    let view = match &catalog {
        Some(catalog) => root.view_at(profile, &catalog.computed_traits, now),
        None => root.view(profile),
    };
    let mut enrollments = dossier::enrollments(tables, catalog.as_ref(), &view.owners).await?;
    enrollments.reverse();
    let mut contact = None;
    let mut messages: Vec<Send> =
        enrollments.iter().flat_map(|part| part.sends.iter().cloned()).collect();
    if let Some(address) = &view.email {
        let key = keys.contact_key(address);
        contact = Some(dossier::contact(tables, catalog.as_ref(), key).await?);
        messages.extend(dossier::confirmations(tables, catalog.as_ref(), key, now).await?);
    }
    messages.sort_by_key(|send| std::cmp::Reverse(send.at));
    // One more than is told, to know whether there is more.
    let mut raises = odyssey_flows::signals::latest(tables, &view.owners, SIGNALS_MAX + 1).await?;
    let more_signals = raises.len() > SIGNALS_MAX;
    raises.truncate(SIGNALS_MAX);
    let signals = signals::decisions(&root.said, &raises);
    let page =
        read_timeline::page(tables, &view.owners, wanted.direction, wanted.after, wanted.events)
            .await?;
    let history = history::of(&page, wanted.direction, wanted.after, &signals, &messages);
    let (ids, ids_left_out) = ids::of(tables, keys, profile, root).await?;
    let links = links::of(tables, keys, profile, root).await?;
    let facts = root.facts();
    let waiting = facts.requests.open(&root.said.asked);
    Ok(Customer {
        at: now,
        profile,
        name: name_of(&view),
        email: view.email.as_ref().map(|address| address.expose().to_owned()),
        ids,
        ids_left_out,
        links,
        computed: computed(catalog.as_ref(), &view),
        segments: segments(root),
        active_days: facts.rhythm.each_day().collect(),
        signals,
        more_signals,
        enrollments,
        messages,
        contact,
        waiting: waiting
            .map(|(topic, at, _)| WaitingPart { topic: topic.to_string(), at })
            .collect(),
        trimmed: facts.trimmed().into_iter().map(str::to_owned).collect(),
        shortened: facts.shortened.names().map(str::to_owned).collect(),
        cut: facts.cut,
        history,
        traits: view.traits,
        facts: view.facts,
    })
}

fn computed(catalog: Option<&Catalog>, view: &ProfileView) -> Vec<String> {
    let declared = catalog.map(|catalog| serde_json::to_value(&catalog.computed_traits));
    match declared {
        Some(Ok(Value::Object(rules))) => rules
            .into_iter()
            .map(|(name, _)| name)
            .filter(|n| view.traits.contains_key(n))
            .collect(),
        _ => Vec::new(),
    }
}

fn segments(root: &Root) -> Vec<SegmentPart> {
    let members = root.said.segments.members.iter();
    let part = |(name, member): (&SegmentName, &Member)| SegmentPart {
        name: name.to_string(),
        since: member.since,
        by: dossier::word_of(&member.by),
    };
    members.map(part).collect()
}

fn name_of(view: &ProfileView) -> String {
    let text = |name: &str| view.traits.get(name).and_then(Value::as_str);
    let named = |name: &&str| !name.trim().is_empty();
    let both =
        match (text("first_name").or(text("firstName")), text("last_name").or(text("lastName"))) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            _ => None,
        };
    let one = || NAMES.into_iter().find_map(text).filter(named).map(str::to_owned);
    let address = || view.email.as_ref().map(|address| address.expose().to_owned());
    let known = both.or_else(one).or_else(address);
    known.map_or_else(|| "Somebody".to_owned(), |name| text::clean(&name, 60))
}
