//! Messages that can never be dealt with: each must be parked with its reason, alone, and stay in
//! the dead letters until somebody reads it.

use super::functions::Inbox;
use odyssey_domain::wire::Parked;
use odyssey_flows::queue::is_redriven;

/// In every one of them.
const MARK: &str = "poison-";

/// Whether a message is one, or a dead letter holds one.
pub(crate) fn is_poison(body: &str) -> bool {
    body.contains(MARK)
}

/// One of several kinds: no JSON, nothing known, an unknown command, and an event of the right type
/// with nothing of its detail.
pub(crate) fn poison(inbox: Inbox, kind: u64, number: u64) -> String {
    let detail_type = match inbox {
        Inbox::Profile => "Events Accepted",
        Inbox::Journey => "Event Folded",
        Inbox::Sender => "Consent Requested",
        Inbox::Feedback => return format!("{MARK}{number}: {{"),
    };
    match kind {
        0 => format!("{MARK}{number}: {{"),
        1 => format!(r#"{{"{MARK}{number}":true}}"#),
        2 => format!(r#"{{"command":"{MARK}{number}"}}"#),
        _ => format!(
            r#"{{"id":"{MARK}{number}","time":"2026-11-21T00:00:00Z","source":"odyssey.test","detail-type":"{detail_type}","detail":{{"v":1}}}}"#
        ),
    }
}

/// What a dead letter holds.
pub(crate) fn held(letter: &str) -> String {
    let body = serde_json::from_str::<Parked>(letter)
        .map_or_else(|_| letter.to_owned(), |parked| parked.body);
    if is_redriven(&body) { body.replacen(r#""redriven":true,"#, "", 1) } else { body }
}
