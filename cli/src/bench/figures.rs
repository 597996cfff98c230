//! What is said of many measurements of one thing.

use serde_json::{Value, json};

/// Measurements of one thing, in order of size.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    sorted: Vec<f64>,
}

impl Figures {
    /// Of these measurements.
    pub(super) fn of(mut measured: Vec<f64>) -> Figures {
        measured.sort_by(f64::total_cmp);
        Figures { sorted: measured }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The least; 0 where there are none, as for all of these.
    pub(super) fn min(&self) -> f64 {
        self.sorted.first().copied().unwrap_or(0.0)
    }

    /// The greatest.
    pub(super) fn max(&self) -> f64 {
        self.sorted.last().copied().unwrap_or(0.0)
    }

    /// The middle one, the upper one of two.
    pub(super) fn median(&self) -> f64 {
        self.sorted.get(self.count() / 2).copied().unwrap_or(0.0)
    }

    /// The least that is at or above so many of a hundred of them (nearest rank).
    pub(super) fn percentile(&self, of_hundred: usize) -> f64 {
        let rank = (self.count() * of_hundred).div_ceil(100);
        self.sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    }

    /// Count, least, middle, ninety-ninth and greatest, rounded to thousandths.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "count": self.count(),
            "min": rounded(self.min()),
            "p50": rounded(self.median()),
            "p99": rounded(self.percentile(99)),
            "max": rounded(self.max()),
        })
    }
}

/// A figure to three places.
pub(super) fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

/// Whether a bound holds, as a word.
pub(super) const fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}

/// The machine's load over the last minute: what else was going on.
pub(super) fn load_average() -> Value {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse::<f64>().ok())
        .map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let figures = Figures::of((1..=200).rev().map(f64::from).collect());
        let found = [figures.min(), figures.median(), figures.percentile(99), figures.max()];
        assert_eq!(found.map(|figure| figure.to_string()), ["1", "101", "198", "200"]);
        assert_eq!(figures.count(), 200);
        let none = Figures::of(Vec::new());
        assert_eq!(none.to_json(), json!({"count":0,"min":0.0,"p50":0.0,"p99":0.0,"max":0.0}));
    }
}
