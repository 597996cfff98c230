//! What the pages say.

use crate::pages::{Action, Page, Tone, page};
use odyssey_aws::lambda::HttpResponse;
use odyssey_domain::catalog::Catalog;
use odyssey_domain::contact::TopicId;
use odyssey_domain::keyring::Purpose;
use odyssey_domain::message::link::LinkError;

/// The pages of one workspace.
pub(crate) struct Words<'a> {
    catalog: Option<&'a Catalog>,
}

impl<'a> Words<'a> {
    /// With the names of the published workspace, where it could be read.
    pub(crate) fn new(catalog: Option<&'a Catalog>) -> Words<'a> {
        Words { catalog }
    }

    fn page(
        &self,
        status: u16,
        title: &str,
        text: &str,
        action: Option<Action<'_>>,
        note: &str,
    ) -> HttpResponse {
        let brand = self.catalog.map(|c| (c.brand.name.as_str(), c.brand.website.as_str()));
        page(status, &Page { title, text, action, note, brand })
    }

    fn topic(&self, topic: &TopicId) -> String {
        let published = self.catalog.and_then(|catalog| catalog.topics.get(topic));
        published.map_or_else(|| "these e-mails".to_owned(), |topic| format!("“{}”", topic.title))
    }

    fn brand(&self) -> &str {
        self.catalog.map_or("us", |catalog| catalog.brand.name.as_str())
    }

    /// What the link would do, and the button that does it.
    pub(crate) fn ask(&self, purpose: Purpose, topic: &TopicId) -> HttpResponse {
        let (topic, brand) = (self.topic(topic), self.brand());
        match purpose {
            Purpose::Confirm => self.page(
                200,
                "One click to confirm",
                &format!("Would you like to receive {topic} from {brand}?"),
                Some(Action { label: "Yes, sign me up", tone: Tone::Welcome }),
                "You did not ask for this? Close this page, and nothing happens.",
            ),
            Purpose::Unsubscribe => self.page(
                200,
                "Unsubscribe?",
                &format!("You will no longer receive {topic} from {brand}."),
                Some(Action { label: "Unsubscribe", tone: Tone::Farewell }),
                "",
            ),
        }
    }

    /// What it did.
    pub(crate) fn done(&self, purpose: Purpose, topic: &TopicId) -> HttpResponse {
        let (topic, brand) = (self.topic(topic), self.brand());
        match purpose {
            Purpose::Confirm => self.page(
                200,
                "You are signed up",
                &format!("{brand} will write to you about {topic}."),
                None,
                "Every mail has a link with which you can leave again.",
            ),
            Purpose::Unsubscribe => self.page(
                200,
                "You are unsubscribed",
                &format!("You will not receive {topic} any more."),
                None,
                "A mail that was already on its way may still arrive.",
            ),
        }
    }

    /// What becomes of a request for consent; the same for every address.
    pub(crate) fn asked(&self) -> HttpResponse {
        self.page(
            202,
            "Check your inbox",
            "If this address can receive our mails, a message with a link is on its way. Follow it to confirm.",
            None,
            "Nothing there after some minutes? Look into the spam folder.",
        )
    }

    /// Why the link does nothing.
    pub(crate) fn broken(&self, purpose: Purpose, error: LinkError) -> HttpResponse {
        match (error, purpose) {
            (LinkError::Expired, _) => self.page(
                410,
                "This link is too old",
                "Links to confirm work for seven days, and not after you have unsubscribed. Please sign up once more to get a new one.",
                None,
                "",
            ),
            (LinkError::Invalid, Purpose::Confirm) => self.page(
                400,
                "This link does not work",
                "It is not complete, or not one of ours. Please copy the whole link from the mail.",
                None,
                "",
            ),
            (LinkError::Invalid, Purpose::Unsubscribe) => self.page(
                400,
                "This link does not work",
                "It is not complete, or not one of ours. Please copy the whole link from the mail, or answer the mail and ask to be removed.",
                None,
                "",
            ),
        }
    }

    /// Something failed that may work the next time.
    pub(crate) fn later(&self) -> HttpResponse {
        self.page(
            503,
            "Please try again",
            "That did not work just now. Nothing is lost: go back and press the button again in a moment.",
            None,
            "",
        )
        .with("retry-after", "5")
    }
}
