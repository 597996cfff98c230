//! How fast one process calls SES.
//!
//! SES accepts so many mails a second (14 for a new account; developer guide, "Managing your Amazon
//! SES sending limits", read 2026-11) and answers the rest with 429. A process that tried whatever
//! it receives would spend most of its calls, and four writes for each of them, on being refused.
//! So each one finds its own share: a refusal slows it down by a third, and every second without
//! one speeds it up, by 3 % at first and twice as much every five seconds. Until the first refusal
//! nothing is held back.

use crate::time::{Span, Stamp};

/// A message that would wait longer for its turn goes back to the queue.
pub const WAIT_MAX: Span = Span::from_ms(5_000);
/// Faster than this nothing is held back.
const FASTEST: Gap = Gap(2_000);
/// However often SES refuses, one mail is tried after so long.
const SLOWEST: Gap = Gap(10_000_000);
/// Where nothing was accepted yet that could tell.
const UNKNOWN: Gap = Gap(100_000);
/// What was accepted over less time than this tells nothing.
const OBSERVED_OVER: Span = Span::from_ms(200);
/// Refusals this close together are one: a batch is refused as a whole.
const ONE_REFUSAL: Span = Span::SECOND;
/// The speed-up of a longer silence counts as that of so many seconds.
const RECOVERY_SECONDS_MAX: u64 = 30;
/// The speed-up of one second, in percent, at first and at most.
const SPEED_UP: (u64, u64) = (3, 96);
/// It doubles after so many seconds without a refusal.
const DOUBLES_AFTER: Span = Span::from_ms(5_000);

/// Microseconds from one mail to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gap(u64);

impl Gap {
    fn slower(self) -> Gap {
        Gap(self.0 / 2 * 3).clamp(FASTEST, SLOWEST)
    }

    fn faster(self, percent: u64) -> Gap {
        Gap(self.0.saturating_mul(100) / (100 + percent))
    }
}

/// When a message has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// After this, at most [`WAIT_MAX`].
    In(Span),
    /// Not in this invocation; about after this.
    Later(Span),
}

/// The rate of one process. Times are those of the invocations, which it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRate {
    /// None: nothing is held back.
    gap: Option<Gap>,
    /// When the next turn is, in microseconds since 1970.
    next_us: u64,
    /// Since when `accepted` counts.
    since: Stamp,
    accepted: u64,
    /// What was observed up to `since`.
    observed: Option<Gap>,
    refused: Option<Stamp>,
}

impl Default for SendRate {
    fn default() -> SendRate {
        SendRate {
            gap: None,
            next_us: 0,
            since: Stamp::MIN,
            accepted: 0,
            observed: None,
            refused: None,
        }
    }
}

impl SendRate {
    /// An invocation begins: what was accepted since the last ones says how fast it went, and
    /// lets it go faster.
    pub fn begin(&mut self, now: Stamp) {
        if self.since == Stamp::MIN {
            self.since = now;
        }
        let passed = now.since(self.since);
        if passed < Span::SECOND || self.accepted == 0 {
            return;
        }
        self.observed = self.observed(passed);
        if let Some(mut gap) = self.gap {
            for second in 1..=(passed.ms() / 1_000).min(RECOVERY_SECONDS_MAX) {
                gap = gap.faster(self.speed_up(self.since.plus(Span::SECOND.times(second))));
            }
            self.gap = (gap > FASTEST).then_some(gap);
        }
        (self.since, self.accepted) = (now, 0);
    }

    fn observed(&self, passed: Span) -> Option<Gap> {
        passed.ms().saturating_mul(1_000).checked_div(self.accepted).map(Gap)
    }

    fn speed_up(&self, at: Stamp) -> u64 {
        let (first, most) = SPEED_UP;
        let calm = self.refused.map_or(Span::ZERO, |last| at.since(last));
        let doublings = (calm.ms() / DOUBLES_AFTER.ms()).min(8);
        (first << doublings).min(most)
    }

    /// The turn of one more message that is received at `now`.
    pub fn turn(&mut self, now: Stamp) -> Turn {
        let Some(gap) = self.gap else { return Turn::In(Span::ZERO) };
        let now_us = now.ms().unsigned_abs().saturating_mul(1_000);
        let at = self.next_us.max(now_us);
        let wait = Span::from_ms((at - now_us) / 1_000);
        if wait > WAIT_MAX {
            // Its turn is not kept: whoever comes then takes it.
            return Turn::Later(wait);
        }
        self.next_us = at.saturating_add(gap.0);
        Turn::In(wait)
    }

    /// SES took a mail.
    pub fn accepted(&mut self) {
        self.accepted = self.accepted.saturating_add(1);
    }

    /// SES refused a mail that it may take later, or could not be reached.
    pub fn refused(&mut self, now: Stamp) {
        if self.refused.is_some_and(|last| now.since(last) < ONE_REFUSAL) {
            return;
        }
        self.refused = Some(now);
        let passed = now.since(self.since);
        let lately = (passed >= OBSERVED_OVER).then(|| self.observed(passed)).flatten();
        let before = self.gap.or(self.observed).or(lately).unwrap_or(UNKNOWN);
        self.gap = Some(before.slower());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Stamp {
        Stamp::from_ms(1_800_000_000_000 + ms)
    }

    /// Processes that share one account for five minutes: mails accepted, calls made.
    fn share(processes: usize, per_second: usize) -> (usize, usize) {
        let mut rates = vec![SendRate::default(); processes];
        let (mut accepted, mut calls) = (0, 0);
        let mut taken: std::collections::BTreeMap<i64, usize> = std::collections::BTreeMap::new();
        for ms in (0..300_000).step_by(100) {
            for rate in &mut rates {
                rate.begin(at(ms));
                for _ in 0..10 {
                    let Turn::In(wait) = rate.turn(at(ms)) else { break };
                    // A batch that waits takes its process's next turns with it.
                    if wait > Span::from_ms(100) {
                        rate.next_us -= rate.gap.unwrap().0;
                        break;
                    }
                    calls += 1;
                    let second = taken.entry(ms / 1_000).or_default();
                    if *second < per_second {
                        *second += 1;
                        accepted += 1;
                        rate.accepted();
                    } else {
                        rate.refused(at(ms));
                    }
                }
            }
        }
        (accepted, calls)
    }

    #[test]
    fn processes_find_their_share_of_any_rate() {
        // Five processes have little to share at one a second, and try for it more often.
        for (per_second, calls_max) in [(1, 250), (14, 125), (50, 125), (200, 125), (500, 125)] {
            let (accepted, calls) = share(5, per_second);
            let possible = per_second * 300;
            assert!(accepted * 100 >= possible * 75, "{accepted} of {possible} at {per_second}");
            assert!(
                calls * 100 <= accepted * calls_max,
                "{calls} calls for {accepted} mails at {per_second}"
            );
        }
    }

    #[test]
    fn nothing_is_held_back_before_a_refusal_and_after_a_recovery() {
        let mut rate = SendRate::default();
        rate.begin(at(0));
        for _ in 0..1_000 {
            assert_eq!(rate.turn(at(0)), Turn::In(Span::ZERO));
            rate.accepted();
        }
        rate.begin(at(1_000));
        rate.refused(at(1_000));
        assert_ne!(rate, SendRate::default());
        for second in 2..300 {
            rate.accepted();
            rate.begin(at(second * 1_000));
        }
        assert_eq!(rate.gap, None);
    }

    #[test]
    fn a_batch_that_is_refused_slows_down_once() {
        let mut once = SendRate::default();
        once.refused(at(0));
        let mut often = once.clone();
        for ms in 0..999 {
            often.refused(at(ms));
        }
        assert_eq!(often, once);
        for second in 1..100 {
            often.refused(at(second * 1_000));
        }
        assert_eq!(often.gap, Some(SLOWEST));
    }

    #[test]
    fn who_would_wait_too_long_goes_back() {
        let mut rate = SendRate { gap: Some(Gap(750_000)), ..SendRate::default() };
        let turns: Vec<Turn> = (0..10).map(|_| rate.turn(at(0))).collect();
        let ms = |n: u64| Span::from_ms(n * 750);
        let waits = (0..7).map(|n| Turn::In(ms(n)));
        let later = (7..10).map(|_| Turn::Later(ms(7)));
        assert_eq!(turns, waits.chain(later).collect::<Vec<_>>());
        // What went back kept no turn.
        assert_eq!(rate.turn(at(5_250)), Turn::In(Span::ZERO));
    }
}
