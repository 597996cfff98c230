//! Why a message is not sent, or not yet.

use serde::{Deserialize, Serialize};

/// Why a message was skipped or deferred, and what it was decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What was found wanting.
    pub code: ReasonCode,
    /// The value it was decided on, without personal data: `topic offers: no consent`.
    pub found: String,
}

impl Reason {
    /// A reason; `found` is cut at [`Reason::FOUND_BYTES_MAX`].
    #[must_use]
    pub fn new(code: ReasonCode, found: impl Into<String>) -> Reason {
        let mut found: String = found.into();
        while found.len() > Reason::FOUND_BYTES_MAX {
            found.pop();
        }
        Reason { code, found }
    }

    /// The longest `found`, in bytes: several reasons fit into one ledger item.
    pub const FOUND_BYTES_MAX: usize = 120;
}

/// Stable codes, one for each way not to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The profile has no e-mail address.
    NoAddress,
    /// The address's owner never confirmed it.
    NotVerified,
    /// No consent to the topic was ever given.
    NoConsent,
    /// Consent to the topic was withdrawn.
    ConsentWithdrawn,
    /// The address is suppressed.
    Suppressed,
    /// The enrollment is over: an exit rule or the goal held just before sending.
    JourneyOver,
    /// The journey that asks is paused, or a draft again.
    JourneyPaused,
    /// The workspace no longer has the mail or the topic.
    ContentMissing,
    /// The mail could not be rendered for this profile.
    RenderFailed,
    /// The profile was erased.
    Erased,
    /// Asked for too often: the one confirmation was already sent.
    AlreadyAsked,
    /// Of a confirmation mail: the address is verified and has consented, so there is nothing to
    /// ask.
    AlreadyGranted,
    /// Of a confirmation mail: it was asked for too long ago, in an imported history for instance.
    TooOld,
    /// As many messages as a frequency cap allows went out lately.
    FrequencyCap,
    /// It is quiet hours where the customer is.
    QuietHours,
    /// It was deferred and would have to wait longer than a message may.
    DeferredTooLong,
}

impl ReasonCode {
    /// What would have to change for the message to be sent, for people.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            ReasonCode::NoAddress => "identify the customer with a trait `email`",
            ReasonCode::NotVerified => {
                "the address's owner must follow the link in the confirmation mail, or a server source must grant consent"
            }
            ReasonCode::NoConsent => {
                "the customer must consent to the topic: a confirmed `Consent Requested` event, the form, or the consent API with a server key"
            }
            ReasonCode::ConsentWithdrawn => "only the customer can consent again",
            ReasonCode::Suppressed => {
                "the address bounced or complained; an operator may lift a suppression once its cause is gone"
            }
            ReasonCode::JourneyOver => "nothing: the customer did what the journey waits for",
            ReasonCode::JourneyPaused => {
                "publish its journey with `state: live`, or `archived` to let those inside finish"
            }
            ReasonCode::ContentMissing => "publish a workspace that has this mail and topic",
            ReasonCode::RenderFailed => {
                "correct the mail's template or give the profile the values it needs, and publish"
            }
            ReasonCode::Erased => "nothing: the customer asked to be forgotten",
            ReasonCode::AlreadyAsked => "wait a day: an address is asked for one topic once a day",
            ReasonCode::AlreadyGranted => "nothing: the address has consented already",
            ReasonCode::TooOld => "the customer must ask for the topic again",
            ReasonCode::FrequencyCap => {
                "time, or a higher cap; a step with `when_capped: defer` waits for it instead of being skipped"
            }
            ReasonCode::QuietHours => {
                "the end of the quiet hours; a step with `when_quiet: defer` waits for it instead of being skipped"
            }
            ReasonCode::DeferredTooLong => {
                "a longer `deferral: {at_most: …}` in workspace.yaml, or higher caps"
            }
        }
    }
}
