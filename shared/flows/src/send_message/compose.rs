//! From a job to a mail, or to the reasons against it. Reads; writes nothing.

use super::job::{Job, Recipient};
use super::{SendError, Sending};
use crate::catalog::CatalogError;
use crate::contacts;
use crate::ports::{Consistency, OutgoingMail, Tables};
use crate::profiles;
use crate::stored::Versioned;
use odyssey_domain::catalog::{Catalog, Topic, TopicKind};
use odyssey_domain::contact::{CLAIMS_MAX, Contact};
use odyssey_domain::ids::{ContactKey, ProfileId};
use odyssey_domain::journey::{self, Ending, Plan, StepKind};
use odyssey_domain::keyring::Purpose;
use odyssey_domain::message::header::{mailbox, tag};
use odyssey_domain::message::link::Link;
use odyssey_domain::message::render::{Context, Links, RenderError, Rendered, Template};
use odyssey_domain::pacing::Instead;
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::policy::{
    Decision, Evidence, Paced, Question, Reason, ReasonCode, decide, decide_confirmation,
};
use odyssey_domain::profile::ProfileView;
use odyssey_domain::time::Stamp;

/// A job, decided.
pub(super) struct Composition {
    /// The profile as it is found now: a link may have moved it since it was asked for.
    pub profile: Option<ProfileId>,
    /// What is to become of it.
    pub decided: Decided,
}

/// A decision, and the mail where it is to send.
pub(super) enum Decided {
    /// Send this.
    Send(Box<Composed>),
    /// Decide again then, for every reason there is.
    Defer { until: Stamp, reasons: Vec<Reason> },
    /// Do not, for every reason there is.
    Skip(Vec<Reason>),
}

/// A mail that may be sent while its contact stays as it was read.
pub(super) struct Composed {
    /// The mail.
    pub mail: OutgoingMail,
    /// What it goes out on.
    pub evidence: Evidence,
    /// Whose address it is.
    pub contact: ContactKey,
    /// The contact as it was read; none where there was none.
    pub read: Option<Versioned<Contact>>,
}

/// When a job is decided, and how fresh the contact must be for it.
#[derive(Clone, Copy)]
pub(super) struct When {
    /// How fresh.
    pub consistency: Consistency,
    /// When the send was first put off, where it was.
    pub deferred_since: Option<Stamp>,
    /// When it is decided.
    pub now: Stamp,
}

/// Decides and renders.
pub(super) async fn compose(
    sending: &Sending,
    tables: &impl Tables,
    catalog: &Catalog,
    job: &Job,
    When { consistency, deferred_since, now }: When,
) -> Result<Composition, SendError> {
    let view = match &job.to {
        Recipient::Profile(profile) => {
            profiles::load_view(tables, *profile, &catalog.computed_traits, now).await?
        }
        Recipient::Asked { .. } => None,
    };
    let address = match &job.to {
        Recipient::Profile(_) => view.as_ref().and_then(|view| view.email.clone()),
        Recipient::Asked { email, .. } => Some(email.clone()),
    };
    let contact = address.as_ref().map(|address| sending.keys.contact_key(address));
    let read = match contact {
        Some(key) => contacts::load(tables, key, consistency).await?,
        None => None,
    };
    let known = read.as_ref().map(|read| &read.item);
    let topic = catalog.topics.get(&job.topic);
    let decision = match &job.to {
        Recipient::Profile(_) => {
            let asking = asking(sending, tables, catalog, job, view.as_ref(), now).await?;
            let room = known.map_or(CLAIMS_MAX, contacts::room);
            decide(Question {
                contact: known,
                profile: view.as_ref(),
                topic: &job.topic,
                published: topic,
                over: asking.over,
                paced: Paced {
                    when_capped: asking.when_capped,
                    when_quiet: asking.when_quiet,
                    ..job.paced(catalog, deferred_since, room)
                },
                now,
            })
        }
        Recipient::Asked { at, .. } => decide_confirmation(known, &job.topic, topic, *at, now),
    };
    let profile = view.as_ref().map(|view| view.profile);
    let skipped = |reasons| Ok(Composition { profile, decided: Decided::Skip(reasons) });
    let missing = || {
        let found = format!("mail {}: not in the published workspace", job.mail);
        Reason::new(ReasonCode::ContentMissing, found)
    };
    let hash = catalog.mails.get(&job.mail).copied();
    let (evidence, hash) = match (decision, hash) {
        (Decision::Send(evidence), Some(hash)) => (evidence, hash),
        (Decision::Send(_) | Decision::Defer { .. }, None) => return skipped(vec![missing()]),
        (Decision::Defer { until, reasons }, Some(_)) => {
            return Ok(Composition { profile, decided: Decided::Defer { until, reasons } });
        }
        (Decision::Skip(mut reasons), hash) => {
            reasons.extend(hash.is_none().then(missing));
            return skipped(reasons);
        }
    };
    // A decision to send implies an address, its contact's key and a topic.
    let (Some(to), Some(contact), Some(topic)) = (address, contact, topic) else {
        return skipped(vec![missing()]);
    };
    let published = sending.catalog.mail(tables, hash).await?;
    let link =
        Link { contact, profile: profile.or(job.profile), topic: job.topic.clone(), issued: now };
    let draft = Draft { sending, catalog, job, topic, view: view.as_ref(), link };
    let rendered = sending
        .templates
        .get(hash, &published, &catalog.brand)
        .and_then(|template| draft.render(&template));
    Ok(Composition {
        profile,
        decided: match rendered {
            Ok(parts) => {
                let mail = draft.mail(to, parts);
                Decided::Send(Box::new(Composed { mail, evidence, contact, read }))
            }
            Err(error) => {
                Decided::Skip(vec![Reason::new(ReasonCode::RenderFailed, error.to_string())])
            }
        },
    })
}

/// What the journey that asks says of the message.
#[derive(Default)]
struct Asking {
    over: Option<(Ending, Stamp)>,
    when_capped: Option<Instead>,
    when_quiet: Option<Instead>,
}

/// Asks the journey, in the version whose steps the enrollment takes. Requests of a release that
/// did not name the version, and versions that are gone, say nothing.
async fn asking(
    sending: &Sending,
    tables: &impl Tables,
    catalog: &Catalog,
    job: &Job,
    view: Option<&ProfileView>,
    now: Stamp,
) -> Result<Asking, SendError> {
    let Some((id, step)) = &job.asked_by else { return Ok(Asking::default()) };
    let current = || catalog.journeys.get(id).map(|entry| entry.version);
    let Some(version) = job.enrolled.map(|enrolled| enrolled.version).or_else(current) else {
        return Ok(Asking::default());
    };
    let journey = match sending.catalog.journey(tables, version).await {
        Ok(journey) => journey,
        Err(CatalogError::Missing(_)) => return Ok(Asking::default()),
        Err(error) => return Err(error.into()),
    };
    let (when_capped, when_quiet) = match journey.steps.get(step).map(|step| &step.kind) {
        Some(StepKind::Send { when_capped, when_quiet, .. }) => (*when_capped, *when_quiet),
        _ => (None, None),
    };
    let over = match (&job.enrolled, view) {
        (Some(enrolled), Some(view)) => {
            journey::over(&Plan::of(journey), enrolled, &job.why, view, now)
        }
        _ => None,
    };
    Ok(Asking { over, when_capped, when_quiet })
}

/// What a mail is made of.
struct Draft<'a> {
    sending: &'a Sending,
    catalog: &'a Catalog,
    job: &'a Job,
    topic: &'a Topic,
    view: Option<&'a ProfileView>,
    link: Link,
}

impl Draft<'_> {
    fn url(&self, purpose: Purpose) -> String {
        self.link.url(&self.sending.keys, purpose, &self.sending.public_url)
    }

    fn render(&self, template: &Template) -> Result<Rendered, RenderError> {
        let links = match self.job.to {
            Recipient::Profile(_) => Links::Unsubscribe(self.url(Purpose::Unsubscribe)),
            Recipient::Asked { .. } => Links::Confirm(self.url(Purpose::Confirm)),
        };
        template.render(&Context {
            profile: self.view,
            trigger: &self.job.why.evidence,
            brand: &self.catalog.brand,
            topic: (&self.job.topic, &self.topic.title),
            links: &links,
        })
    }

    fn mail(&self, to: EmailAddress, rendered: Rendered) -> OutgoingMail {
        let marketing = self.topic.kind == TopicKind::Marketing && self.job.asked_by.is_some();
        // RFC 8058 §3.1: both headers, the URL in angle brackets.
        let headers = if marketing {
            vec![
                ("List-Unsubscribe".to_owned(), format!("<{}>", self.url(Purpose::Unsubscribe))),
                ("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned()),
            ]
        } else {
            Vec::new()
        };
        let mut tags = vec![("topic".to_owned(), tag(self.job.topic.as_str()))];
        if let Some((journey, step)) = &self.job.asked_by {
            tags.push(("journey".to_owned(), tag(journey.as_str())));
            tags.push(("step".to_owned(), tag(step.as_str())));
        }
        let brand = &self.catalog.brand;
        OutgoingMail {
            send: self.job.send,
            from: mailbox(&brand.name, &brand.from),
            to,
            reply_to: brand.reply_to.clone(),
            subject: rendered.subject,
            html: rendered.html,
            text: rendered.text,
            headers,
            tags,
        }
    }
}
