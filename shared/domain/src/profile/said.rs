//! What a profile has said to the outside and what it has armed. Not facts: excluded from their
//! laws, but stored in the same write, so that no crash parts a deed from its record.

use super::{Facts, Root};
use crate::contact::TopicId;
use crate::ids::{IdentityKey, ProfileId};
use crate::journey::OVERDUE;
use crate::personal::EmailAddress;
use crate::segment::{Memberships, SEGMENT_ENTERED, SEGMENT_EXITED};
use crate::signal::{self, Crossed, Decided, Mark, Outcome, Raise, SignalRule, StageMark};
use crate::time::{Span, Stamp};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// A timer that was already due when it was armed (its events came late) waits this long, so that
/// an order sent just behind the cart can arrive.
const LATE_GRACE: Span = Span::MINUTE;
/// A wake so little before its time is on time: queues deliver to the second.
const EARLY_SLACK: Span = Span::SECOND.times(2);
/// The mark of a rule that is no longer published is forgotten after so long.
const MARK_KEPT: Span = Span::DAY.times(60);
/// The keys of each crossing that the last cut of an item leaves, which has left no facts that
/// could reach others.
const KEYS_LEFT: usize = 16;

/// What was said to the outside and what is armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Said {
    /// The last episode that each signal rule (`Cart Abandoned/4h`) has decided on. An episode is
    /// never decided twice, so one mark for each rule is enough.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, Mark>,
    /// What each rule that needs no silence (`Repeat Purchase/2`) has decided on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub crossed: BTreeMap<String, Crossed>,
    /// When each signal was last raised, by its name: marks and crossings also tell of what was
    /// decided since and not raised.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raised: BTreeMap<String, Stamp>,
    /// The segments it is in.
    #[serde(default, skip_serializing_if = "Memberships::is_empty")]
    pub segments: Memberships,
    /// Where the profile stands in the lifecycle, by rule (`Stage Changed/30d`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, StageMark>,
    /// The last request for each topic that the profile's address was asked about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: BTreeMap<TopicId, Stamp>,
    /// The last arming's number; never reused.
    #[serde(default)]
    pub arm: u64,
    /// When the armed timer is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Stamp>,
    /// The last number that the timer of each linked identifier had while it was a profile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arms: BTreeMap<IdentityKey, u64>,
    /// What the last write wants done, by deterministic ids. Whoever loads the item and would write
    /// over them carries them out first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<ProfileEffect>,
}

/// An effect of a profile's change of state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileEffect {
    /// Publish a signal.
    Raise(Raise),
    /// Ask the owner of an address for consent.
    Ask {
        /// The profile's address.
        email: EmailAddress,
        /// Consent to what.
        topic: TopicId,
        /// When it was requested.
        at: Stamp,
        /// The name of the source that said so.
        via: String,
    },
    /// Have the profile woken.
    Arm {
        /// The arming.
        arm: u64,
        /// When.
        due: Stamp,
    },
    /// Carry out what stands in another profile: the same write took an accumulator out of it, and
    /// a redelivery does not lead there any more.
    Settle {
        /// Which.
        profile: ProfileId,
    },
}

/// What a wake did.
#[derive(Debug, Clone, PartialEq)]
pub enum Woken {
    /// It is not the armed one: nothing changed.
    Stale,
    /// It came before its time, which is this: nothing changed.
    Early(Stamp),
    /// Silences were decided on; the root is to be written.
    Decided,
}

impl Said {
    /// Takes in what a profile that is linked into this one has said, so that nothing is said
    /// twice about the same silence. Its timer is not taken over: it is re-armed where needed.
    pub fn absorb(&mut self, other: Said) {
        for (rule, mark) in other.marks {
            match self.marks.get(&rule) {
                Some(held) if held.episode >= mark.episode => {}
                _ => {
                    self.marks.insert(rule, mark);
                }
            }
        }
        for (rule, crossed) in other.crossed {
            match self.crossed.get_mut(&rule) {
                Some(held) => held.absorb(crossed),
                None => drop(self.crossed.insert(rule, crossed)),
            }
        }
        for (signal, at) in other.raised {
            later(&mut self.raised, &signal, at);
        }
        for (topic, at) in other.asked {
            later(&mut self.asked, &topic, at);
        }
        self.segments.absorb(other.segments);
        for (rule, stage) in other.stages {
            match self.stages.get_mut(&rule) {
                Some(held) => held.absorb(stage),
                None => drop(self.stages.insert(rule, stage)),
            }
        }
    }

    /// When each signal was last raised, by its name.
    #[must_use]
    pub fn last_raised(&self) -> BTreeMap<String, Stamp> {
        let mut last = self.raised.clone();
        // Written by a release that did not note them apart.
        let marks = self.marks.iter().filter(|(_, mark)| mark.outcome == Outcome::Raised);
        let crossed = self.crossed.iter().filter(|(_, crossed)| crossed.raised);
        let noted = marks.map(|(rule, mark)| (rule, mark.at));
        for (rule, at) in noted.chain(crossed.map(|(rule, crossed)| (rule, crossed.at))) {
            let name = rule.split('/').next().unwrap_or(rule);
            later(&mut last, name, at);
        }
        last
    }

    /// What the profile's address is to be asked, once for each request that gave none; and what it
    /// was asked then.
    fn asks(&self, facts: &Facts) -> (Vec<ProfileEffect>, BTreeMap<TopicId, Stamp>) {
        let requests = &facts.requests;
        let held = self.asked.iter().filter(|(topic, _)| requests.has(topic));
        let mut asked = held.map(|(topic, at)| (topic.clone(), *at)).collect();
        let Some(email) = facts.email.address() else { return (Vec::new(), asked) };
        let mut asks = Vec::new();
        for (topic, at, via) in requests.open(&self.asked) {
            later(&mut asked, topic, at);
            let (topic, via) = (topic.clone(), via.to_owned());
            asks.push(ProfileEffect::Ask { email: email.clone(), topic, at, via });
        }
        (asks, asked)
    }

    /// Forgets when signals were last raised that no rule raises any more, after a while.
    fn forget(&mut self, rules: &[SignalRule], now: Stamp) {
        self.raised.retain(|signal, at| {
            at.plus(MARK_KEPT) > now
                || [SEGMENT_ENTERED, SEGMENT_EXITED].contains(&signal.as_str())
                || rules.iter().any(|rule| rule.name == *signal)
        });
    }

    /// Cuts what has no bound of its own by what the workspace declares, for an item that would
    /// pass its limit when nothing of the facts is left to cut.
    pub(super) fn cut(&mut self) {
        self.crossed.values_mut().for_each(|crossed| crossed.bound_to(KEYS_LEFT));
    }

    /// Takes in what was decided on signals.
    fn take(&mut self, decided: Decided) {
        self.marks.extend(decided.marks);
        self.crossed.extend(decided.crossed);
        self.stages.extend(decided.stages);
        for raise in &decided.raises {
            later(&mut self.raised, &raise.signal, raise.at);
        }
        self.pending.extend(decided.raises.into_iter().map(ProfileEffect::Raise));
    }

    /// The arming that should have fired and did not, to be repeated.
    #[must_use]
    pub fn overdue(&self, now: Stamp) -> Option<ProfileEffect> {
        let due = self.due?;
        (due.plus(OVERDUE) < now).then_some(ProfileEffect::Arm { arm: self.arm, due })
    }
}

/// Notes the later of two times.
fn later<K, Q>(times: &mut BTreeMap<K, Stamp>, key: &Q, at: Stamp)
where
    K: Ord + Borrow<Q>,
    Q: Ord + ToOwned<Owned = K> + ?Sized,
{
    match times.get_mut(key) {
        Some(held) => *held = at.max(*held),
        None => drop(times.insert(key.to_owned(), at)),
    }
}

impl Root {
    /// Arms the silence timer where none is armed that fires soon enough. One that fires too soon
    /// is left: it will look again then, which costs less than a write for every event. Says
    /// whether it was armed, which is to be written.
    pub fn rearm(&mut self, rules: &[SignalRule], now: Stamp) -> bool {
        self.unarmed(rules, now).is_some_and(|needed| self.arm_by(needed))
    }

    /// When the silence timer must fire and does not: as for somebody who has done nothing since a
    /// rule was published.
    #[must_use]
    pub fn unarmed(&self, rules: &[SignalRule], now: Stamp) -> Option<Stamp> {
        let Said { marks, stages, due, .. } = &self.said;
        let needed = signal::next_due(&self.facts(), marks, stages, rules)?;
        let needed = if needed <= now { now.plus(LATE_GRACE) } else { needed };
        due.is_none_or(|due| due > needed).then_some(needed)
    }

    /// Arms the profile's one timer for `needed`, unless it is armed for then or before. Says
    /// whether it was, which is to be written.
    pub fn arm_by(&mut self, needed: Stamp) -> bool {
        if self.said.due.is_some_and(|due| due <= needed) {
            return false;
        }
        self.said.due = Some(needed);
        // An arming of this very write has not left yet: it is made sooner, not doubled.
        let same = |effect: &&mut ProfileEffect| matches!(effect, ProfileEffect::Arm { arm, .. } if *arm == self.said.arm);
        if let Some(ProfileEffect::Arm { due, .. }) = self.said.pending.iter_mut().find(same) {
            *due = needed;
            return true;
        }
        self.said.arm = self.said.arm.saturating_add(1);
        self.said.pending.push(ProfileEffect::Arm { arm: self.said.arm, due: needed });
        true
    }

    /// Decides on what the facts have reached, in the write that folds. What a rule that is no
    /// longer published has decided is forgotten after a while.
    pub fn cross(&mut self, profile: ProfileId, rules: &[SignalRule], now: Stamp) {
        let Said { marks, crossed, .. } = &self.said;
        let facts = self.facts();
        let decided = signal::cross(&facts, marks, crossed, profile, rules, now);
        let staged = signal::change(&facts, &self.said.stages, profile, rules, now, false);
        let (asks, asked) = self.said.asks(&facts);
        drop(facts);
        self.said.asked = asked;
        self.said.pending.extend(asks);
        self.said.take(decided);
        self.said.take(staged);
        self.said.crossed.retain(|rule, crossed| {
            crossed.at.plus(MARK_KEPT) > now || signal::is_published(rules, rule)
        });
        self.said.stages.retain(|rule, mark| {
            mark.at.plus(MARK_KEPT) > now || signal::is_published(rules, rule)
        });
        self.said.forget(rules, now);
    }

    /// Decides on the silences that are over by `now`, as the timer number `arm` asks.
    pub fn wake(
        &mut self,
        profile: ProfileId,
        arm: u64,
        rules: &[SignalRule],
        now: Stamp,
    ) -> Woken {
        let Some(due) = self.said.due.filter(|_| arm == self.said.arm) else { return Woken::Stale };
        if now.plus(EARLY_SLACK) < due {
            return Woken::Early(due);
        }
        let now = now.max(due);
        let facts = self.facts();
        let decided = signal::due(&facts, &self.said.marks, profile, rules, now);
        let staged = signal::change(&facts, &self.said.stages, profile, rules, now, true);
        drop(facts);
        self.said.due = None;
        // Its arming has fired; the next one has a number of its own.
        self.said.pending.retain(|effect| !matches!(effect, ProfileEffect::Arm { .. }));
        self.said.take(decided);
        self.said.take(staged);
        self.said.marks.retain(|rule, mark| {
            mark.at.plus(MARK_KEPT) > now || signal::is_published(rules, rule)
        });
        self.rearm(rules, now);
        Woken::Decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::SignalKind;
    use std::collections::BTreeSet;

    const NOW: Stamp = Stamp::from_ms(1_790_000_000_000);
    const RULE: &str = "Interest Shown/120";

    /// What a stranger's device may have said: 672 categories with names as long as are kept.
    fn stranger(n: u32) -> Said {
        let key = |i: u32| format!("{}#{n:02}-{i:03}{}", 2_900 + i % 3, "x".repeat(58));
        let keys: BTreeSet<String> = (0..672).map(key).collect();
        let crossed = Crossed { number: 0, keys, at: NOW, since: NOW, raised: true };
        Said { crossed: [(RULE.to_owned(), crossed)].into(), ..Said::default() }
    }

    fn bytes(said: &Said) -> usize {
        serde_json::to_vec(said).unwrap().len()
    }

    #[test]
    fn however_many_devices_are_linked_what_was_said_stays_small() {
        let one = bytes(&stranger(0));
        let mut root = Root::default();
        for n in 0..11 {
            root.said.absorb(stranger(n));
        }
        assert!(bytes(&root.said) <= one * 11 / 10, "{} bytes, one has {one}", bytes(&root.said));
        let keys = &root.said.crossed[RULE].keys;
        // Of the latest week, and so many of that before it.
        assert!(keys.iter().filter(|key| key.starts_with("2902#")).count() == 672, "{keys:?}");
        (0..Root::CUTS).for_each(|step| root.cut(step));
        assert!(bytes(&root.said) < 2_000, "{} bytes after the last cut", bytes(&root.said));
    }

    #[test]
    fn the_latest_keys_are_kept_by_number() {
        let keys = ["999#z", "1000#a", "20000", "x"].map(str::to_owned);
        let new = || Crossed { keys: keys.clone().into(), ..Crossed::new(NOW, NOW) };
        for (max, left) in [(3, vec!["1000#a", "20000", "999#z"]), (1, vec!["20000"])] {
            let mut crossed = new();
            crossed.bound_to(max);
            assert_eq!(crossed.keys.iter().collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn signals_that_nobody_raises_any_more_are_forgotten() {
        let old = NOW.minus(MARK_KEPT);
        let rule = SignalRule::new(SignalKind::LeadSubmitted, &[]);
        let said = [
            ("Gone", old),
            ("Gone lately", old.plus(Span::SECOND)),
            ("Segment Entered", old),
            (&rule.name, old),
        ];
        let mut root = Root::default();
        root.said.raised = said.map(|(name, at)| (name.to_owned(), at)).into();
        root.cross(ProfileId::from_bytes([1; 16]), &[rule], NOW);
        let left: Vec<&str> = root.said.raised.keys().map(String::as_str).collect();
        assert_eq!(left, ["Gone lately", "Lead Submitted", "Segment Entered"]);
    }
}
