//! `odyssey profile why`: why two ids are one customer, or why they are not.

use super::id::{Asked, read};
use crate::args::ProfileWhyArgs;
use crate::customer::text::{number, several};
use crate::screen::{Screen, Style};
use crate::{Exit, Failure, stack};
use odyssey_domain::ids::ProfileId;
use odyssey_domain::keyring::Keyring;
use odyssey_domain::profile::RefusedLink;
use odyssey_domain::time::Stamp;
use odyssey_flows::links::{
    EVENTS_LOOKED_INTO, NotLinked, Placed, Refusal, Stands, event_name, place, refusals,
};
use odyssey_flows::ports::{Table, Tables};
use odyssey_flows::profiles::{Found, find};
use odyssey_flows::stored::StoredError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Two ids, where they stand, and what stands between them.
#[derive(Debug)]
pub struct Two {
    ids: [(Asked, Placed); 2],
    between: Vec<Between>,
}

/// What keeps the second of two ids from the profile of the first, or the other way round.
#[derive(Debug)]
struct Between {
    /// The profile.
    profile: ProfileId,
    /// Which of the two is not in it.
    other: usize,
    /// When an operator split it off.
    split: Option<Stamp>,
    /// The profile's last claim of it, which did not link.
    claim: Option<Refusal>,
    /// What the profile refused, of whichever ids.
    counts: BTreeMap<RefusedLink, u64>,
}

/// Runs the command.
///
/// # Errors
/// Where an id is none, or the stack cannot be read.
pub(super) async fn run(screen: &Screen, args: &ProfileWhyArgs) -> Result<Exit, Failure> {
    let connection = stack::connect(&args.stack, &[Table::Profiles, Table::Timeline])?;
    let keys = connection.keyring().await?;
    let ids = [read(&args.one, &keys)?, read(&args.other, &keys)?];
    let failed = |error| Failure::Stack(format!("{}: {error}", connection.name));
    let two = Two::find(&connection.tables(), &keys, ids).await.map_err(failed)?;
    if args.json {
        screen.line(&two.to_json().to_string());
        return Ok(Exit::Right);
    }
    screen.line(&screen.paint(Style::Faint, &format!("read from {}", connection.name)));
    for line in two.lines(screen) {
        screen.line(&line);
    }
    Ok(Exit::Right)
}

impl Two {
    /// Reads where two ids stand, and, where they are not one, why not.
    ///
    /// # Errors
    /// Where a table cannot be read.
    pub async fn find(
        tables: &impl Tables,
        keys: &Keyring,
        asked: [Asked; 2],
    ) -> Result<Two, StoredError> {
        let [one, other] = asked;
        let first = place(tables, one.key).await?;
        let second = place(tables, other.key).await?;
        let mut two = Two { ids: [(one, first), (other, second)], between: Vec::new() };
        if !two.are_one() {
            for at in [0, 1] {
                two.between.extend(between(tables, keys, &two, at).await?);
            }
        }
        Ok(two)
    }

    fn are_one(&self) -> bool {
        let [(one, first), (other, second)] = &self.ids;
        one.key == other.key || (first.profile().is_some() && first.profile() == second.profile())
    }

    /// The answer, line by line.
    #[must_use]
    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        let [(one, first), (other, second)] = &self.ids;
        let mut out = vec![match first.profile() {
            _ if one.key == other.key => "They are the same id.".to_owned(),
            Some(profile) if self.are_one() => format!(
                "{}, the profile {}, because:",
                screen.paint(Style::Strong, "They are one"),
                screen.paint(Style::Name, &profile.to_string())
            ),
            _ => format!("{}:", screen.paint(Style::Strong, "They are not one")),
        }];
        tell(screen, one, first, &mut out);
        if one.key != other.key {
            tell(screen, other, second, &mut out);
        }
        for between in &self.between {
            let (other, _) = &self.ids[between.other];
            let lines = between.lines(&other.text);
            out.extend(lines.iter().map(|line| format!("  {}", screen.paint(Style::Warn, line))));
        }
        out
    }

    /// The answer for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ids: Vec<Value> =
            self.ids.iter().map(|(asked, placed)| as_json(asked, placed)).collect();
        let between: Vec<Value> = self
            .between
            .iter()
            .map(|between| between.to_json(&self.ids[between.other].0.text))
            .collect();
        // One id that is asked about twice is nobody's all the same.
        let same = self.are_one() && self.ids[0].1.profile().is_some();
        json!({"same": same, "ids": ids, "between": between})
    }
}

/// What keeps the other id from the profile of the one at `at`.
async fn between(
    tables: &impl Tables,
    keys: &Keyring,
    two: &Two,
    at: usize,
) -> Result<Option<Between>, StoredError> {
    let other = 1 - at;
    let Some(profile) = two.ids[at].1.profile() else { return Ok(None) };
    let Found::Profile(profile, root) = find(tables, profile.into()).await? else {
        return Ok(None);
    };
    let (root, key) = (root.item, two.ids[other].0.key);
    let claim = refusals(tables, keys, profile, &root, Some(key), 1).await?.pop();
    let split = root.split.get(&key).copied();
    Ok(Some(Between { profile, other, split, claim, counts: root.refused }))
}

impl Between {
    fn lines(&self, other: &str) -> Vec<String> {
        let profile = self.profile;
        let mut lines = Vec::new();
        if let Some(at) = self.split {
            lines.push(format!(
                "an operator split {other} off the profile {profile} at {at}: no claim links the two again"
            ));
        }
        if let Some(Refusal { why, source, event, .. }) = &self.claim {
            let claim = format!(
                "the profile {profile} claimed {other} by the event {} ({}) of {} through {}",
                event.id,
                event_name(event),
                event.at,
                source.name
            );
            lines.push(match why {
                NotLinked::Refused(reason) => format!("{claim}, which was refused: {reason}"),
                NotLinked::Earlier => format!("{claim}, but an earlier claim has it"),
            });
        }
        if lines.is_empty() {
            // Which ids those were is known only as long as the timeline tells.
            lines.extend(self.counts.iter().map(|(reason, events)| {
                let claims = several(*events, "claim");
                format!(
                    "the profile {profile} refused {claims} of other ids ({reason}); none of the last {} events it has claims this one",
                    number(u64::try_from(EVENTS_LOOKED_INTO).unwrap_or(u64::MAX))
                )
            }));
        }
        lines
    }

    fn to_json(&self, other: &str) -> Value {
        let claim = self.claim.as_ref().map(|Refusal { why, source, event, .. }| {
            json!({
                "event": event.id,
                "event_name": event_name(event),
                "at": event.at.to_string(),
                "source": source.name,
                "code": match why {
                    NotLinked::Refused(reason) => reason.code(),
                    NotLinked::Earlier => "earlier_claim",
                },
            })
        });
        let counts: BTreeMap<&str, u64> =
            self.counts.iter().map(|(reason, events)| (reason.code(), *events)).collect();
        json!({
            "profile": self.profile.to_string(),
            "id": other,
            "split": self.split.map(|at| at.to_string()),
            "claim": claim,
            "refused": counts,
        })
    }
}

/// Its kind: as it was given, else as its item or its link has it.
fn kind_of(asked: &Asked, placed: &Placed) -> String {
    let stored = match &placed.stands {
        Stands::Profile(kind) => kind.as_ref(),
        Stands::Linked(claimed) => claimed.kind.as_ref(),
        Stands::Nobody | Stands::Erased(_) => None,
    };
    let kind = asked.kind.as_ref().or(stored);
    kind.map_or_else(|| "profile".to_owned(), ToString::to_string)
}

fn tell(screen: &Screen, asked: &Asked, placed: &Placed, out: &mut Vec<String>) {
    out.push(format!("  {}  ({})", screen.paint(Style::Name, &asked.text), kind_of(asked, placed)));
    let mut say = |text: &str| out.push(format!("    {text}"));
    match &placed.stands {
        Stands::Nobody => say("is nobody's: no event was folded under it, and no user claimed it"),
        Stands::Erased(at) => say(&format!("was erased {at}")),
        Stands::Profile(_) => {
            say(&format!("is where the profile {} itself stands", placed.identity));
        }
        Stands::Linked(claimed) => {
            say(&format!("belongs to the profile {}", claimed.to));
            if let Some(claim) = claimed.claim {
                say(&format!("since the claim of {}", claim.at));
            }
            match (&claimed.event, claimed.event_name()) {
                (Some((source, event)), Some(name)) => {
                    say(&format!("by the event {} ({name}) through {}", event.id, source.name));
                }
                _ if claimed.claim.is_some() => {
                    say("by an event that the timeline does not hold any more");
                }
                _ => {}
            }
            say(if claimed.is_final {
                "for good: idle for 30 days, it was compacted into the profile, and no split takes it out"
            } else {
                "not final: an earlier claim takes it, and `cargo odyssey profile split` gives it back"
            });
        }
    }
}

fn as_json(asked: &Asked, placed: &Placed) -> Value {
    let mut json = json!({
        "id": asked.text,
        "kind": kind_of(asked, placed),
        "identity": placed.identity.to_string(),
        "profile": placed.profile().map(|profile| profile.to_string()),
    });
    let stands = match &placed.stands {
        Stands::Nobody => json!({"stands": "nobody"}),
        Stands::Erased(at) => json!({"stands": "erased", "erased": at.to_string()}),
        Stands::Profile(_) => json!({"stands": "profile"}),
        Stands::Linked(claimed) => json!({
            "stands": "linked",
            "claimed": claimed.claim.map(|claim| claim.at.to_string()),
            "event": claimed.event.as_ref().map(|(_, event)| event.id.clone()),
            "event_name": claimed.event_name(),
            "source": claimed.event.as_ref().map(|(source, _)| source.name.clone()),
            "final": claimed.is_final,
        }),
    };
    if let (Some(json), Value::Object(more)) = (json.as_object_mut(), stands) {
        json.extend(more);
    }
    json
}
