//! Messages: published mails, rendering, and the ledger of sends.

use crate::contact::TopicId;
use crate::ids::{OwnerToken, ProfileId, SendId};
use crate::journey::{JourneyId, StepId};
use crate::slug::slug;
use crate::time::Stamp;
use crate::wire::Why;
use serde::{Deserialize, Serialize};

slug! {
    /// A mail of the workspace.
    MailId,
}

/// A mail as published: MJML already compiled to HTML, Jinja placeholders still in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its name.
    pub id: MailId,
    /// Jinja, one line.
    pub subject: String,
    /// The line an inbox shows beside the subject; Jinja, may be empty.
    #[serde(default)]
    pub preview: String,
    /// Jinja in HTML.
    pub html: String,
    /// Jinja in plain text.
    pub text: String,
}

/// How far a send has come. Terminal: sent, failed, skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SendState {
    /// Decided to send and counted against the caps; not yet tried.
    Claimed,
    /// Definitely not accepted by SES; may be claimed again.
    Released {
        /// Why.
        reason: String,
    },
    /// The call is being made, or was, by the owner; no clock turns this into a resend.
    Sending,
    /// Accepted by SES.
    Sent {
        /// SES's message id.
        ses_id: String,
        /// When.
        at: Stamp,
    },
    /// SES refused it for good.
    Failed {
        /// Why.
        reason: String,
    },
    /// Nobody knows: the answer was lost. Settled by SES's own event, else by an operator.
    Unconfirmed {
        /// Since when.
        since: Stamp,
    },
    /// Decided not to send.
    Skipped {
        /// Reason codes, with the values they were decided on.
        reasons: Vec<crate::policy::Reason>,
    },
}

/// What became of an accepted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The recipient's server took it.
    Delivered,
    /// It came back.
    Bounced,
    /// The recipient complained.
    Complained,
}

/// The ledger's item of one send; at most 1 KB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerItem {
    /// Its key.
    pub send: SendId,
    /// To whom; none for a confirmation mail of an address without a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// The journey and step that asked for it; none for a confirmation mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<(JourneyId, StepId)>,
    /// Which mail.
    pub mail: MailId,
    /// Under which topic.
    pub topic: TopicId,
    /// How far it is.
    #[serde(flatten)]
    pub state: SendState,
    /// Who claimed it.
    pub owner: OwnerToken,
    /// When it was claimed or decided.
    pub at: Stamp,
    /// When the call to SES began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_at: Option<Stamp>,
    /// The consent record it went out on: `granted 2026-… via confirmation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Why it was asked for.
    pub why: Why,
}
