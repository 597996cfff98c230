//! From a job to a mail, or to the reasons against it. Reads; writes nothing.

use super::job::{Job, Recipient};
use super::{SendError, Sending};
use crate::contacts;
use crate::ports::{Consistency, OutgoingMail, Tables};
use crate::profiles;
use crate::stored::Versioned;
use odyssey_domain::catalog::{Catalog, Topic, TopicKind};
use odyssey_domain::contact::Contact;
use odyssey_domain::ids::{ContactKey, ProfileId};
use odyssey_domain::keyring::Purpose;
use odyssey_domain::message::header::{mailbox, tag};
use odyssey_domain::message::link::Link;
use odyssey_domain::message::render::{Context, Links, RenderError, Rendered, Template};
use odyssey_domain::personal::EmailAddress;
use odyssey_domain::policy::{
    Decision, Evidence, Question, Reason, ReasonCode, decide, decide_confirmation,
};
use odyssey_domain::profile::ProfileView;
use odyssey_domain::time::Stamp;

/// A job, decided.
pub(super) struct Composition {
    /// The profile as it is found now: a link may have moved it since it was asked for.
    pub profile: Option<ProfileId>,
    /// The mail, or every reason against it.
    pub decided: Result<Box<Composed>, Vec<Reason>>,
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

/// Decides and renders. How fresh the contact must be is the caller's to say.
pub(super) async fn compose(
    sending: &Sending,
    tables: &impl Tables,
    catalog: &Catalog,
    job: &Job,
    consistency: Consistency,
    now: Stamp,
) -> Result<Composition, SendError> {
    let view = match &job.to {
        Recipient::Profile(profile) => profiles::load_view(tables, *profile).await?,
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
        Recipient::Profile(_) => decide(Question {
            contact: known,
            profile: view.as_ref(),
            topic: &job.topic,
            published: topic,
        }),
        Recipient::Asked { at, .. } => decide_confirmation(known, &job.topic, topic, *at, now),
    };
    let profile = view.as_ref().map(|view| view.profile);
    let missing = || {
        let found = format!("mail {}: not in the published workspace", job.mail);
        Reason::new(ReasonCode::ContentMissing, found)
    };
    let hash = catalog.mails.get(&job.mail).copied();
    let (evidence, hash) = match (decision, hash) {
        (Decision::Send(evidence), Some(hash)) => (evidence, hash),
        (Decision::Send(_), None) => {
            return Ok(Composition { profile, decided: Err(vec![missing()]) });
        }
        (Decision::Skip(mut reasons), hash) => {
            reasons.extend(hash.is_none().then(missing));
            return Ok(Composition { profile, decided: Err(reasons) });
        }
    };
    // A decision to send implies an address, its contact's key and a topic.
    let (Some(to), Some(contact), Some(topic)) = (address, contact, topic) else {
        return Ok(Composition { profile, decided: Err(vec![missing()]) });
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
                Ok(Box::new(Composed { mail, evidence, contact, read }))
            }
            Err(error) => Err(vec![Reason::new(ReasonCode::RenderFailed, error.to_string())]),
        },
    })
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
