//! What must hold.

use crate::world::{Mark, Stage, World};

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    /// SES accepted it more than once.
    Twice,
    /// SES accepted it on a claim that committed after consent was withdrawn.
    WithoutConsent,
    /// SES accepted it and the contact does not count it.
    Uncounted,
    /// All is quiet, SES never accepted it, and nothing that anybody looks at says so.
    Lost,
    /// All is quiet, and the ledger contradicts what SES did.
    Untrue,
    /// All is quiet, SES accepted it, and the ledger is still open.
    Open,
    /// It stays UNCONFIRMED although SES's event arrived.
    Unsettled,
    /// The contact counts a send that did not go out, and no fault struck its taking back.
    Overcounted,
}

/// What must hold in every world.
pub(crate) fn always(world: &World) -> Option<Violation> {
    if world.marks.has(Mark::Twice) {
        Some(Violation::Twice)
    } else if world.marks.has(Mark::WithoutConsent) {
        Some(Violation::WithoutConsent)
    } else if world.marks.has(Mark::Uncounted) || (world.accepted > 0 && !world.counted) {
        Some(Violation::Uncounted)
    } else {
        None
    }
}

/// What must hold when nothing is under way any more.
pub(crate) fn at_rest(world: &World) -> Option<Violation> {
    let accepted = world.accepted > 0;
    let heard = world.marks.has(Mark::Heard);
    let excused = world.marks.has(Mark::ReleaseHit);
    let stage = world.ledger.map(|item| item.stage);
    match stage {
        _ if is_lost(world) => Some(Violation::Lost),
        Some(Stage::Sent) if !accepted => Some(Violation::Untrue),
        Some(Stage::Failed | Stage::Skipped) if accepted => Some(Violation::Untrue),
        None | Some(Stage::Claimed | Stage::Released | Stage::Sending) if accepted => {
            Some(Violation::Open)
        }
        Some(Stage::Unconfirmed) if accepted && heard => Some(Violation::Unsettled),
        Some(Stage::Failed | Stage::Skipped) if world.counted && !excused => {
            Some(Violation::Overcounted)
        }
        _ => None,
    }
}

/// Not accepted, and not to be seen as failed, skipped or unconfirmed. A confirmation may be
/// claimed anew after it was skipped; then the skip was the answer to whoever asked.
pub(crate) fn is_lost(world: &World) -> bool {
    let seen = world.ledger.is_some_and(|item| {
        matches!(item.stage, Stage::Failed | Stage::Skipped | Stage::Unconfirmed)
    });
    world.accepted == 0 && !seen && !world.marks.has(Mark::Skipped)
}
