//! Deliberate bugs in the modelled protocol: each must be caught, or the search proves nothing.

/// One bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// SES is called on the claim alone, without SENDING before it.
    CallWithoutSending,
    /// SENDING is written whatever the ledger says by now.
    SendingWithoutVersion,
    /// A SENDING past its limit is decided afresh.
    ResendStaleSending,
    /// An UNCONFIRMED is decided afresh.
    ResendUnconfirmed,
    /// A lost answer of SES is taken for "not accepted".
    RetryUnclear,
    /// The claim does not ask for the contact's version.
    ClaimWithoutContactVersion,
    /// The claim does not ask for the ledger's version.
    ClaimWithoutLedgerVersion,
    /// A skip does not ask for the ledger's version.
    SkipWithoutVersion,
    /// The outcome is written over whatever the ledger says by now.
    RecordOverAnything,
    /// The claim is taken back only after the ledger says RELEASED.
    RecordBeforeTakingBack,
    /// The claim is taken back only after the ledger says SKIPPED.
    SkipBeforeTakingBack,
    /// An UNCONFIRMED whose message is gone from the queue becomes RELEASED.
    ReleaseAfterGivenUp,
    /// The message is acknowledged when it is received.
    AcknowledgeFirst,
    /// A young SENDING is acknowledged instead of waited for.
    AcknowledgeInsteadOfWaiting,
    /// A released send is acknowledged.
    AcknowledgeReleased,
    /// A CLAIMED of another is taken for sent.
    NeverTakeOver,
    /// SES's events do not reach the ledger.
    DeafToEvents,
    /// An event is dropped on a SKIPPED that is a moment old.
    TrustOldSkip,
}

impl Mutant {
    pub(crate) const ALL: [Mutant; 18] = [
        Mutant::CallWithoutSending,
        Mutant::SendingWithoutVersion,
        Mutant::ResendStaleSending,
        Mutant::ResendUnconfirmed,
        Mutant::RetryUnclear,
        Mutant::ClaimWithoutContactVersion,
        Mutant::ClaimWithoutLedgerVersion,
        Mutant::SkipWithoutVersion,
        Mutant::RecordOverAnything,
        Mutant::RecordBeforeTakingBack,
        Mutant::SkipBeforeTakingBack,
        Mutant::ReleaseAfterGivenUp,
        Mutant::AcknowledgeFirst,
        Mutant::AcknowledgeInsteadOfWaiting,
        Mutant::AcknowledgeReleased,
        Mutant::NeverTakeOver,
        Mutant::DeafToEvents,
        Mutant::TrustOldSkip,
    ];
}
