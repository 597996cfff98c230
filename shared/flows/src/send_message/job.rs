//! What `sender`'s queue asks for.

use crate::queue::{Disposition, QueueBody, chain};
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::TopicId;
use odyssey_domain::ids::{ProfileId, SendId};
use odyssey_domain::journey::{JourneyId, StepId};
use odyssey_domain::keyring::Keyring;
use odyssey_domain::message::{LedgerItem, MailId};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::policy::Paced;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{
    BUS_SCHEMA, Command, ConsentRequested, Enrolled, Owner, Wake, Why, detail_type,
};

/// One message to send.
pub(super) struct Job {
    /// The ledger's key.
    pub send: SendId,
    /// To whom.
    pub profile: Option<ProfileId>,
    /// By which step of which journey; none for a confirmation.
    pub asked_by: Option<(JourneyId, StepId)>,
    /// The enrollment, where the request names it.
    pub enrolled: Option<Enrolled>,
    /// Which mail.
    pub mail: MailId,
    /// Under which topic.
    pub topic: TopicId,
    /// For the ledger and the templates.
    pub why: Why,
    /// Whose address.
    pub to: Recipient,
}

/// Where the address comes from.
pub(super) enum Recipient {
    /// The profile, when it is sent.
    Profile(ProfileId),
    /// The request: its address is asked to confirm.
    Asked {
        /// The address.
        email: EmailAddress,
        /// When it was asked for.
        at: Stamp,
    },
}

/// What a message asks for.
pub(super) enum Asked {
    /// This.
    First(Box<Job>),
    /// A send that was put off: its ledger item says what it is.
    Again(SendId),
}

impl Asked {
    /// Reads a message; the error is what becomes of one that cannot be.
    pub(super) fn parse(
        body: &str,
        keys: &Keyring,
        confirmation_mail: &MailId,
        now: Stamp,
    ) -> Result<Asked, Disposition> {
        let park = |reason, text: String| Disposition::Park { reason, chain: vec![text] };
        match QueueBody::parse(body) {
            Err(error) => Err(Disposition::Park { reason: "malformed", chain: chain(&error) }),
            Ok(QueueBody::Command(Command::Send(request))) => Ok(Asked::First(Box::new(Job {
                send: request.send,
                profile: Some(request.profile),
                asked_by: Some((request.journey, request.step)),
                enrolled: request.enrolled,
                mail: request.mail,
                topic: request.topic,
                why: request.why,
                to: Recipient::Profile(request.profile),
            }))),
            Ok(QueueBody::Command(Command::Wake(Wake { owner: Owner::Send(send), .. }))) => {
                Ok(Asked::Again(send))
            }
            Ok(QueueBody::Command(Command::Wake(_))) => {
                let found = "expected the wake of a send, found another's".to_owned();
                Err(park("unexpected", found))
            }
            Ok(QueueBody::Command(Command::Look { .. })) => {
                let found = "expected a send, found a look at a profile".to_owned();
                Err(park("unexpected", found))
            }
            Ok(QueueBody::Event(event)) if event.detail_type == detail_type::CONSENT_REQUESTED => {
                let asked: ConsentRequested =
                    serde_json::from_str(event.detail.get()).map_err(|e| {
                        let place = format!("line {} column {}", e.line(), e.column());
                        park("malformed", format!("expected a Consent Requested: {place}"))
                    })?;
                if asked.v > BUS_SCHEMA {
                    let text = format!("schema {}, this release reads {BUS_SCHEMA}", asked.v);
                    return Err(park("unknown_schema", text));
                }
                let job = confirmation(asked, keys, confirmation_mail.clone(), now);
                Ok(Asked::First(Box::new(job)))
            }
            Ok(QueueBody::Event(event)) => Err(park(
                "unexpected",
                format!("expected Consent Requested, found {} bytes", event.detail_type.len()),
            )),
        }
    }
}

impl Job {
    /// The job of a send that was put off, from what the ledger keeps of it. None of a
    /// confirmation, which is never put off.
    pub(super) fn again(item: &LedgerItem) -> Option<Job> {
        let profile = item.profile?;
        Some(Job {
            send: item.send,
            profile: Some(profile),
            asked_by: Some(item.asked_by.clone()?),
            enrolled: item.deferral.as_ref().and_then(|deferral| deferral.enrolled),
            mail: item.mail.clone(),
            topic: item.topic.clone(),
            why: item.why.clone(),
            to: Recipient::Profile(profile),
        })
    }

    /// What its pacing is decided on; what its step says is the caller's to add.
    pub(super) fn paced<'a>(
        &'a self,
        catalog: &'a Catalog,
        deferred_since: Option<Stamp>,
        room: usize,
    ) -> Paced<'a> {
        Paced {
            send: self.send,
            journey: self.asked_by.as_ref().map(|(journey, _)| journey),
            pacing: &catalog.pacing,
            journeys: &catalog.journeys,
            when_capped: None,
            when_quiet: None,
            deferred_since,
            room,
        }
    }
}

/// How far the clock that dated a request may be ahead of this one's.
const AHEAD_MAX: Span = Span::MINUTE.times(5);

/// The confirmation mail of a request. Its day is the request's own, so that every delivery means
/// the same mail, however late it comes and whatever clock it meets: one dated further into the
/// future than clocks differ means today's, so that no invented date makes a second mail, and one of
/// long ago is skipped.
fn confirmation(asked: ConsentRequested, keys: &Keyring, mail: MailId, now: Stamp) -> Job {
    let dated = if asked.at <= now.plus(AHEAD_MAX) { asked.at } else { now };
    let day = dated.day();
    let contact = keys.contact_key(&asked.email);
    Job {
        send: SendId::derive_confirmation(contact, asked.topic.as_str(), day),
        profile: asked.profile,
        asked_by: None,
        enrolled: None,
        mail,
        why: Why {
            trigger: "Consent Requested".to_owned(),
            trigger_id: String::new(),
            trigger_at: asked.at,
            ..Why::default()
        },
        topic: asked.topic,
        to: Recipient::Asked { email: asked.email, at: asked.at.min(now) },
    }
}
