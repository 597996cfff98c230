//! Clients that are made when their first call needs them.

use aws_types::SdkConfig;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A client to be. Making one parses the SDK's table of partitions and compiles its patterns, four
/// hundred thousand instructions for each service, and many a process ends without a call to some
/// of its services: a dead-letter queue, say. A handle: clones share one client.
pub(crate) struct Lazy<C> {
    config: SdkConfig,
    make: fn(&SdkConfig) -> C,
    made: Arc<OnceLock<C>>,
}

impl<C> Lazy<C> {
    pub(crate) fn new(config: &SdkConfig, make: fn(&SdkConfig) -> C) -> Lazy<C> {
        Lazy { config: config.clone(), make, made: Arc::default() }
    }

    /// The client.
    pub(crate) fn get(&self) -> &C {
        self.made.get_or_init(|| (self.make)(&self.config))
    }
}

impl<C> Clone for Lazy<C> {
    fn clone(&self) -> Lazy<C> {
        Lazy { config: self.config.clone(), make: self.make, made: Arc::clone(&self.made) }
    }
}

impl<C> fmt::Debug for Lazy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("is_made", &self.made.get().is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static MADE: AtomicUsize = AtomicUsize::new(0);

    fn make(_: &SdkConfig) -> usize {
        MADE.fetch_add(1, Ordering::Relaxed)
    }

    #[test]
    fn one_is_made_for_all_clones_when_it_is_needed() {
        let lazy = Lazy::new(&SdkConfig::builder().build(), make);
        let clone = lazy.clone();
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        assert_eq!((lazy.get(), clone.get()), (&0, &0));
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }
}
