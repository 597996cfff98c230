//! Timers: who is armed, and what will wake them.

use super::super::functions::Inbox;
use super::Check;
use odyssey_domain::ids::IdentityKey;
use odyssey_domain::time::{Span, Stamp};
use odyssey_domain::wire::{Command, Owner, Wake};
use odyssey_flows::ports::Row;
use std::collections::BTreeMap;

/// How late anything is once faults have stopped: a message that failed last before then is hidden
/// for up to a quarter of an hour, and is held by the invocation before that for three minutes.
const LATE_MAX: Span = Span::MINUTE.times(20);

/// What somebody is armed for.
#[derive(Debug)]
struct Armed {
    arm: u64,
    due: Stamp,
    /// When it was written.
    since: Stamp,
}

/// Who is armed, and what will wake them.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: BTreeMap<Owner, Armed>,
    /// When faults stopped.
    calm_since: Option<Stamp>,
    /// Until when messages are held up by faults, at the latest.
    held_until: Option<Stamp>,
    /// Due items and queue messages, by owner and arm number.
    wakes: BTreeMap<(Owner, u64), u64>,
    /// The time that each arm number stands for.
    times: BTreeMap<(Owner, u64), Stamp>,
    /// The last arm number of each owner.
    last: BTreeMap<Owner, u64>,
}

/// The wake that a queue message is.
pub(super) fn wake(body: &str) -> Option<Wake> {
    // Only what begins so is read: most messages are no wakes.
    if !body.get(..40).unwrap_or(body).contains("\"command\":\"wake\"") {
        return None;
    }
    match serde_json::from_str(body) {
        Ok(Command::Wake(wake)) => Some(wake),
        _ => None,
    }
}

impl Timers {
    pub(super) fn wake_added(&mut self, wake: &Wake) {
        *self.wakes.entry((wake.owner.clone(), wake.arm)).or_default() += 1;
    }

    pub(super) fn wake_removed(&mut self, wake: &Wake) {
        let key = (wake.owner.clone(), wake.arm);
        if let Some(times) = self.wakes.get_mut(&key) {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.wakes.remove(&key);
            }
        }
    }

    /// An owner of this queue that is armed and that nothing will wake.
    pub(super) fn lost(&self, inbox: Inbox) -> Option<(Owner, u64)> {
        let of = |owner: &Owner| {
            matches!(
                (owner, inbox),
                (Owner::Profile(_), Inbox::Profile)
                    | (Owner::Enrollment(_), Inbox::Journey)
                    | (Owner::Send(_), Inbox::Sender)
            )
        };
        let mut armed = self.armed.iter().filter(|(owner, _)| of(owner));
        let lost =
            armed.find(|(owner, armed)| !self.wakes.contains_key(&((*owner).clone(), armed.arm)));
        lost.map(|(owner, armed)| (owner.clone(), armed.arm))
    }
}

impl Check {
    /// An owner's item was written, with this arm number and this time where it is armed.
    pub(super) fn armed(&mut self, now: Stamp, owner: Owner, arm: u64, due: Option<Stamp>) {
        let last = self.timers.last.insert(owner.clone(), arm).unwrap_or(0);
        self.holds("arms-never-reused", arm >= last, || {
            format!("{owner:?}: arm number {arm} after {last}")
        });
        let before = self.timers.armed.remove(&owner);
        if let Some(before) = before.as_ref().filter(|before| due.is_none() || before.arm != arm) {
            let (number, since) = (before.arm, before.since);
            self.is_on_time(now, before.due.max(since), || {
                format!("{owner:?}, armed as number {number} at {since},")
            });
        }
        let Some(due) = due else { return };
        let stood = *self.timers.times.entry((owner.clone(), arm)).or_insert(due);
        self.holds("arms-never-reused", stood == due, || {
            format!("{owner:?}: arm number {arm} stood for {stood}, now for {due}")
        });
        let since = before.filter(|before| before.arm == arm).map_or(now, |before| before.since);
        self.timers.armed.insert(owner, Armed { arm, due, since });
    }

    /// Faults have stopped.
    pub(crate) fn calm(&mut self, now: Stamp) {
        self.timers.calm_since = Some(now);
    }

    /// A fault keeps a message until then.
    pub(crate) fn held_up(&mut self, until: Stamp) {
        self.timers.held_until = self.timers.held_until.max(Some(until));
    }

    /// Something that was due is dealt with: once nothing goes wrong any more, within a bound.
    pub(super) fn is_on_time(&mut self, now: Stamp, due: Stamp, what: impl Fn() -> String) {
        let Some(stopped) = self.timers.calm_since else { return };
        let calm = stopped.max(self.timers.held_until.unwrap_or(stopped));
        let most = Span::from_ms(LATE_MAX.ms() + 2 * self.skew_ms);
        let late = now.since(due.max(calm));
        self.holds("on-time", late <= most, || {
            format!("{} was due at {due}, faults were over at {calm}, and now it is {now}", what())
        });
    }

    /// A profile is no root any more.
    pub(super) fn disarmed(&mut self, identity: IdentityKey) {
        self.timers.armed.remove(&Owner::Profile(identity.into()));
    }

    pub(super) fn due_written(&mut self, before: Option<&Row>, after: Option<&Row>) {
        if let Some(wake) = before.and_then(super::item::<Wake>) {
            self.timers.wake_removed(&wake);
        }
        if let Some(wake) = after.and_then(super::item::<Wake>) {
            self.timers.wake_added(&wake);
        }
    }
}
