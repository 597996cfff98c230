//! Queue records as deliveries: what arrived, for whom.

use crate::queue::{Disposition, QueueBody, QueueRecord, chain};
use odyssey_domain::event::{Event, EventKind};
use odyssey_domain::identity::{self, IdKind, Identifier};
use odyssey_domain::ids::{ContactKey, ContentHash, IdentityKey, Position};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::personal::{AnonymousId, UserId};
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{
    BUS_SCHEMA, BusEnvelope, Command, ConsentChanged, EventsAccepted, Owner, SourceKind, SourceRef,
    detail_type,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How long before its receipt a browser's event can claim an id.
const CLAIMS_REACH: Span = Span::DAY.times(7);

/// One record of the batch.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) message_id: String,
    pub(super) content: Content,
    /// The contact whose consent it says has changed.
    pub(super) contact: Option<ContactKey>,
    /// Profiles whose segments are to be decided on because of it, whether or not they did
    /// anything.
    pub(super) looks: Vec<IdentityKey>,
}

#[derive(Debug)]
pub(super) enum Content {
    /// Events to fold.
    Events { teller: Teller, received: Stamp, source: SourceRef, items: Vec<Item> },
    /// A timer that has come due. `again` says that it may have been acted on before.
    Wake { profile: IdentityKey, arm: u64, again: bool },
    /// Nothing but what [`Delivery::looks`] says.
    Look,
}

/// Whose word events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    /// A property's of the workspace.
    Property,
    /// This stack's own: what became of its mails, and what was said to it of consent.
    Stack,
}

/// One event and the identity it folds under.
#[derive(Debug)]
pub(super) struct Item {
    /// The key of its strongest identifier.
    pub(super) own: IdentityKey,
    /// What sort of identifier that is, where it is none that a browser has.
    pub(super) kind: Option<IdKind>,
    pub(super) event: Event,
    pub(super) claims: Vec<Claim>,
}

impl Item {
    /// The identities whose items it may change: its own, and those it claims.
    pub(super) fn names(&self) -> impl Iterator<Item = IdentityKey> {
        std::iter::once(self.own).chain(self.claims.iter().map(|claim| claim.identity))
    }
}

/// An event says that an identifier is its user's.
#[derive(Debug)]
pub struct Claim {
    /// The identifier's key.
    pub identity: IdentityKey,
    /// What sort of identifier it is.
    pub kind: IdKind,
    /// The same text as a user id, where it may be one: an alias's previous id. Two users are not
    /// linked; the anonymous id of that text is, whether or not there is such a user, so that the
    /// order in which their events arrive leaves no trace.
    pub maybe_user: Option<IdentityKey>,
    /// The position that it counts by: the earliest claim of an identifier wins.
    pub at: Position,
}

/// What an event claims for the user it names, as it was or will be folded.
#[must_use]
pub fn claims(keyring: &Keyring, kind: SourceKind, received: Stamp, event: &Event) -> Vec<Claim> {
    let read = Read { keyring, received, kind };
    read.item(event.clone()).map(|item| item.claims).unwrap_or_default()
}

impl Delivery {
    /// The identities whose items are needed for sure.
    pub(super) fn identities(&self) -> Vec<IdentityKey> {
        let mut all: Vec<IdentityKey> = match &self.content {
            Content::Wake { profile, .. } => vec![*profile],
            Content::Events { items, .. } => items.iter().map(|item| item.own).collect(),
            Content::Look => Vec::new(),
        };
        all.extend(&self.looks);
        all
    }

    /// The identities that may be written.
    pub(super) fn touches(&self) -> Vec<IdentityKey> {
        let mut touched = self.identities();
        if let Content::Events { items, .. } = &self.content {
            touched.extend(items.iter().flat_map(Item::names));
        }
        touched
    }
}

/// Reads a record. `None` where there is nothing in it for a profile.
pub(super) fn decode(
    index: usize,
    record: &QueueRecord,
    keyring: &Keyring,
    now: Stamp,
) -> Result<Option<Delivery>, Disposition> {
    let body = QueueBody::parse(&record.body)
        .map_err(|error| Disposition::Park { reason: "malformed", chain: chain(&error) })?;
    let mut contact = None;
    let mut looks = Vec::new();
    let content = match body {
        QueueBody::Command(Command::Wake(wake)) => match wake.owner {
            Owner::Profile(profile) => {
                let again = record.may_be_repeated(wake.due, now);
                Some(Content::Wake { profile: profile.into(), arm: wake.arm, again })
            }
            Owner::Enrollment(_) => return Err(misdirected("a wake of an enrollment")),
            Owner::Send(_) => return Err(misdirected("a wake of a send")),
        },
        QueueBody::Command(Command::Send(_)) => return Err(misdirected("a send")),
        QueueBody::Command(Command::Look { profile }) => {
            looks.push(profile.into());
            Some(Content::Look)
        }
        QueueBody::Event(envelope) => match envelope.detail_type.as_str() {
            detail_type::EVENTS_ACCEPTED => Some(accepted(detail(&envelope)?, keyring)),
            detail_type::CONSENT_CHANGED => {
                let changed: ConsentChanged = detail(&envelope)?;
                contact = Some(changed.contact);
                consent_changed(&changed).or(Some(Content::Look))
            }
            detail_type::MESSAGE_FEEDBACK => super::feedback::of_feedback(&detail(&envelope)?),
            other => return Err(misdirected(&format!("the bus event `{other}`"))),
        },
    };
    let message_id = record.message_id.clone();
    Ok(content.map(|content| Delivery { index, message_id, content, contact, looks }))
}

fn misdirected(found: &str) -> Disposition {
    let text = format!(
        "profile's queue: expected `{}`, `{}`, `{}`, a wake of a profile or a look at one, found {found}",
        detail_type::EVENTS_ACCEPTED,
        detail_type::CONSENT_CHANGED,
        detail_type::MESSAGE_FEEDBACK
    );
    Disposition::Park { reason: "misdirected", chain: vec![text] }
}

/// Reads a bus event's detail: its schema number first, since a newer one may have any shape.
fn detail<T: DeserializeOwned>(envelope: &BusEnvelope) -> Result<T, Disposition> {
    #[derive(Deserialize)]
    struct Schema {
        v: u16,
    }
    let text = envelope.detail.get();
    // serde's own message may quote the content, so only the place of the fault is kept.
    let malformed = |error: serde_json::Error| Disposition::Park {
        reason: "malformed",
        chain: vec![format!(
            "`{}` cannot be read: line {} column {}",
            envelope.detail_type,
            error.line(),
            error.column()
        )],
    };
    let schema: Schema = serde_json::from_str(text).map_err(malformed)?;
    if schema.v > BUS_SCHEMA {
        return Err(Disposition::Park {
            reason: "unknown_schema",
            chain: vec![format!(
                "`{}` has schema {}, this release reads up to {BUS_SCHEMA}",
                envelope.detail_type, schema.v
            )],
        });
    }
    serde_json::from_str(text).map_err(malformed)
}

fn accepted(accepted: EventsAccepted, keyring: &Keyring) -> Content {
    let EventsAccepted { received, source, events, .. } = accepted;
    let read = Read { keyring, received, kind: source.kind };
    let items = events.into_iter().filter_map(|event| read.item(event)).collect();
    Content::Events { teller: Teller::Property, received, source, items }
}

/// What the events of a delivery are read with.
struct Read<'a> {
    keyring: &'a Keyring,
    received: Stamp,
    kind: SourceKind,
}

impl Read<'_> {
    /// An event with its identity; one that names nobody is nobody's (ingest accepts none such).
    fn item(&self, event: Event) -> Option<Item> {
        let user = event.user_id.as_ref().map(|user| self.keyring.user_key(user));
        let anonymous = event.anonymous_id.as_ref().map(|id| self.keyring.anonymous_key(id));
        let vouched = match self.kind {
            SourceKind::Server => identity::vouched(event.kind, &event.traits, &event.context),
            // Its key is public: an address it gives is an attribute, never an identifier.
            SourceKind::Browser => Vec::new(),
        };
        let strongest = vouched.first().filter(|_| user.is_none());
        let named = strongest.map(|id| self.keyring.identity_key(id));
        let (own, kind) = (user.or(named).or(anonymous)?, strongest.map(Identifier::kind));
        let mut claims = Vec::new();
        if user.is_some() {
            let at = self.claim_of(&event);
            let claim = |identity, kind| Claim { identity, kind, maybe_user: None, at };
            claims.extend(anonymous.map(|identity| claim(identity, IdKind::Anonymous)));
            claims.extend(vouched.iter().map(|id| claim(self.keyring.identity_key(id), id.kind())));
        }
        claims.extend(user.and_then(|user| self.alias(&event, user)));
        Some(Item { own, kind, event, claims })
    }

    /// When an event claims: when it happened. A browser's clock is anybody's, and the earliest
    /// claim wins, so what it sends late claims as of [`CLAIMS_REACH`] before it was received:
    /// nobody takes a device over by a stamp of long ago.
    fn claim_of(&self, event: &Event) -> Position {
        let at = event.position();
        match self.kind {
            SourceKind::Server => at,
            SourceKind::Browser => {
                Position { at: at.at.max(self.received.minus(CLAIMS_REACH)), id: at.id }
            }
        }
    }

    /// An alias says that `previousId` is this user: an anonymous id as a rule, but it may be a
    /// user's.
    fn alias(&self, event: &Event, user: IdentityKey) -> Option<Claim> {
        let previous = event.previous_id.as_deref().filter(|_| event.kind == EventKind::Alias)?;
        let maybe_user = UserId::parse(previous).ok().map(|id| self.keyring.user_key(&id))?;
        let identity = self.keyring.anonymous_key(&AnonymousId::parse(previous).ok()?);
        (maybe_user != user).then(|| Claim {
            identity,
            kind: IdKind::Anonymous,
            maybe_user: Some(maybe_user),
            at: self.claim_of(event),
        })
    }
}

/// A change of consent stands in its profile's history as an event of its own, so that journeys
/// can start from it.
fn consent_changed(changed: &ConsentChanged) -> Option<Content> {
    let own: IdentityKey = changed.profile?.into();
    let mut properties = Map::new();
    properties.insert("topic".to_owned(), changed.topic.as_str().into());
    let state = serde_json::to_value(changed.state).unwrap_or(Value::Null);
    let said = format!("{}/{}/{state}/{}", changed.contact, changed.topic, changed.at.ms());
    properties.insert("state".to_owned(), state);
    properties.insert("via".to_owned(), changed.via.as_str().into());
    let event = Event {
        id: format!("consent-{}", ContentHash::of(said.as_bytes())),
        at: changed.at,
        original: None,
        kind: EventKind::Track,
        name: Some(detail_type::CONSENT_CHANGED.to_owned()),
        user_id: None,
        anonymous_id: None,
        previous_id: None,
        group_id: None,
        properties,
        traits: Map::new(),
        context: Map::new(),
        integrations: Map::new(),
    };
    Some(Content::Events {
        teller: Teller::Stack,
        received: changed.at,
        source: SourceRef { name: SourceRef::CONSENT.to_owned(), kind: SourceKind::Server },
        items: vec![Item { own, kind: None, event, claims: Vec::new() }],
    })
}
