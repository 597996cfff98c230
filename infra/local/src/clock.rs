//! Customer time: the clock that the whole stack lives by, which may run faster than the wall's and wait for the machine.

use crate::identifiers::uuid;
use odyssey_domain::time::{Span, Stamp};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// What a variable begins with that names the file of a clock that is granted its time.
const FILE: &str = "file:";

/// How fast customer time runs, and from when.
///
/// Function time-outs and queue visibility are real time; queue delays, the schedule and every stamp
/// are customer time.
#[derive(Debug, Clone)]
pub struct Clock {
    hands: Arc<watch::Sender<Hands>>,
    /// Where the hands are told to other processes, if they are moved.
    file: Option<Arc<HandsFile>>,
}

/// How a clock's time is to be read: at `real` it showed `shown`, it runs `rate` times as fast as
/// the wall's, and shows nothing after `latest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hands {
    real: Stamp,
    shown: Stamp,
    rate: u32,
    latest: Stamp,
}

/// The file that tells the hands, as long as this lives.
#[derive(Debug)]
struct HandsFile(PathBuf);

/// The wall's clock.
#[expect(clippy::disallowed_methods, reason = "the local stack is where time comes from")]
pub(crate) fn wall() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Hands {
    fn at(self, real: Stamp) -> Stamp {
        let passed = real.since(self.real);
        self.shown
            .plus(Span::from_ms(passed.ms().saturating_mul(self.rate.into())))
            .min(self.latest)
    }

    fn parse(text: &str) -> Option<Hands> {
        let mut numbers = text.trim().split(',').map(|part| part.parse::<i64>().ok());
        let mut next = || numbers.next().flatten();
        let (real, shown) = (Stamp::from_ms(next()?), Stamp::from_ms(next()?));
        let (rate, latest) = (u32::try_from(next()?).ok()?, Stamp::from_ms(next()?));
        Some(Hands { real, shown, rate, latest })
    }
}

impl fmt::Display for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hands { real, shown, rate, latest } = self;
        write!(f, "{},{},{rate},{}", real.ms(), shown.ms(), latest.ms())
    }
}

impl HandsFile {
    fn tell(&self, hands: Hands) -> std::io::Result<()> {
        // A reader finds the hands from before or these, never half of them.
        let beside = self.0.with_extension("next");
        std::fs::write(&beside, hands.to_string())?;
        std::fs::rename(&beside, &self.0)
    }
}

impl Drop for HandsFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Clock {
    /// A clock that shows `start` and runs `rate` (1 or more) times as fast as the wall's.
    pub(crate) fn steady(rate: u32, start: Option<Stamp>) -> Self {
        let real = wall();
        let shown = start.unwrap_or(real);
        let hands = Hands { real, shown, rate: rate.max(1), latest: Stamp::MAX };
        Self { hands: Arc::new(watch::Sender::new(hands)), file: None }
    }

    /// A clock that shows `start` and stands still until it is [granted](Clock::grant) time; then it
    /// runs `rate` (1 or more) times as fast as the wall's.
    ///
    /// # Errors
    /// Where the file cannot be written by which other processes follow it.
    pub(crate) fn granted(rate: u32, start: Option<Stamp>) -> Result<Self, std::io::Error> {
        let real = wall();
        let shown = start.unwrap_or(real);
        let hands = Hands { real, shown, rate: rate.max(1), latest: shown };
        let file = HandsFile(std::env::temp_dir().join(format!("odyssey-{}.clock", uuid())));
        file.tell(hands)?;
        Ok(Self { hands: Arc::new(watch::Sender::new(hands)), file: Some(Arc::new(file)) })
    }

    fn hands(&self) -> Hands {
        *self.hands.borrow()
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.hands().at(wall())
    }

    /// Lets it run on from what it shows, as far as it gets in `slice` of the wall's time.
    ///
    /// # Errors
    /// Where other processes cannot be told.
    pub(crate) fn grant(&self, slice: Duration) -> Result<(), std::io::Error> {
        let Hands { rate, .. } = self.hands();
        let (real, shown) = (wall(), self.now());
        let slice = u64::try_from(slice.as_millis()).unwrap_or(u64::MAX);
        let latest = shown.plus(Span::from_ms(slice.saturating_mul(rate.into())));
        let hands = Hands { real, shown, rate, latest };
        self.hands.send_replace(hands);
        self.file.as_ref().map_or(Ok(()), |file| file.tell(hands))
    }

    /// Whether it stands still but for what it is granted.
    pub(crate) fn is_granted(&self) -> bool {
        self.file.is_some()
    }

    /// Returns when it shows `at` or later.
    pub async fn until(&self, at: Stamp) {
        let mut moved = self.hands.subscribe();
        loop {
            let hands = *moved.borrow_and_update();
            let shown = self.now();
            if shown >= at {
                return;
            }
            if at > hands.latest {
                // The sender is held by `self`, so this cannot end early.
                let _ = moved.changed().await;
                continue;
            }
            // The wall's clock is read in milliseconds.
            let wait = self.real(at.since(shown)).max(Duration::from_millis(1));
            tokio::time::sleep(wait).await;
        }
    }

    /// Seconds of customer time in a second.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.hands().rate
    }

    /// How long a length of customer time really takes, while the clock runs.
    #[must_use]
    pub fn real(&self, span: Span) -> Duration {
        Duration::from_micros(span.ms().saturating_mul(1_000) / u64::from(self.rate()))
    }

    /// The `ODYSSEY_CLOCK` that makes a process show the same time: `<real epoch ms>,<customer epoch
    /// ms>,<rate>,<latest epoch ms>`, or `file:` and the path of a file in which that is kept.
    #[must_use]
    pub fn variable(&self) -> String {
        match &self.file {
            Some(file) => format!("{FILE}{}", file.0.display()),
            None => self.hands().to_string(),
        }
    }
}

/// What the clock behind an `ODYSSEY_CLOCK` shows now; none where it is no clock's, or its stack has gone.
#[must_use]
pub fn shown(variable: &str) -> Option<Stamp> {
    let text = match variable.strip_prefix(FILE) {
        Some(path) => std::fs::read_to_string(Path::new(path)).ok()?,
        None => variable.to_owned(),
    };
    Hands::parse(&text).map(|hands| hands.at(wall()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Stamp = Stamp::from_ms(1_700_000_000_000);

    #[test]
    fn an_hour_in_two_seconds() {
        let clock = Clock::steady(1_800, Some(START));
        assert_eq!(clock.real(Span::HOUR), Duration::from_secs(2));
        assert!(clock.now() >= START);
        assert!(clock.variable().contains(",1700000000000,1800,"));
    }

    #[test]
    fn a_rate_of_nothing_is_the_walls() {
        assert_eq!(Clock::steady(0, None).rate(), 1);
    }

    #[test]
    fn others_read_the_same_hands() {
        let steady = Clock::steady(7, Some(START));
        assert_eq!(Hands::parse(&steady.variable()), Some(steady.hands()));
        assert!(shown(&steady.variable()).is_some_and(|at| at >= START));
        let granted = Clock::granted(1_800, Some(START)).unwrap();
        let variable = granted.variable();
        assert_eq!(shown(&variable), Some(START));
        granted.grant(Duration::ZERO).unwrap();
        assert_eq!(shown(&variable), Some(START));
        drop(granted);
        assert_eq!(shown(&variable), None, "the file goes with its clock");
        for bad in ["", "1,2", "1,2,3", "a,b,c,d", "file:", "file:/nowhere"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn it_shows_no_more_than_it_was_granted() {
        let clock = Clock::granted(1_000_000, Some(START)).unwrap();
        assert_eq!(clock.now(), START);
        let hour = START.plus(Span::HOUR);
        let waits = tokio::spawn({
            let clock = clock.clone();
            async move { clock.until(hour).await }
        });
        clock.grant(Duration::from_millis(3)).unwrap();
        let granted = START.plus(Span::from_ms(3_000_000));
        clock.until(granted).await;
        assert_eq!(clock.now(), granted, "50 minutes, and not one more");
        assert!(!waits.is_finished());
        clock.grant(Duration::from_millis(3)).unwrap();
        waits.await.unwrap();
        assert!(clock.now() >= hour);
    }
}
