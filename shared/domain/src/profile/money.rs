//! Amounts of money: whole minor units and a currency, read from JSON without a float in between.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// An ISO 4217 code in upper case. A code that ISO does not list becomes `XXX`, "no currency",
/// so that there are never more currencies than ISO has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency(&'static str);

/// ISO 4217 list one (2024-06), without metals and test codes; and how many decimals each has
/// where it is not two.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB \
BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR \
FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES \
KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR \
MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR \
SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH \
UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";
const WITHOUT_DECIMALS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
const WITH_THREE: &str = "BHD IQD JOD KWD LYD OMR TND";

impl Currency {
    /// What an amount is in when nothing says.
    pub const USD: Currency = Currency("USD");
    /// A code that ISO does not list.
    pub const UNKNOWN: Currency = Currency("XXX");

    /// Reads a code, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Currency {
        let text = text.trim();
        if text.eq_ignore_ascii_case("USD") {
            return Currency::USD;
        }
        CODES
            .split(' ')
            .find(|code| code.eq_ignore_ascii_case(text))
            .map_or(Currency::UNKNOWN, Currency)
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// How many decimals its amounts have: 0, 2 or 3.
    #[must_use]
    pub fn decimals(self) -> u32 {
        if self == Currency::USD {
            2
        } else if WITHOUT_DECIMALS.split(' ').any(|code| code == self.0) {
            0
        } else if WITH_THREE.split(' ').any(|code| code == self.0) {
            3
        } else {
            2
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Ok(Currency::parse(&text))
    }
}

/// An amount: never negative, at most [`Money::MINOR_MAX`]. Stored as `[minor, currency]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money(
    /// Whole minor units: cents.
    pub u64,
    /// Of what.
    pub Currency,
);

impl Money {
    /// Ten trillion dollars in cents: what is above it is a mistake, and is no amount.
    pub const MINOR_MAX: u64 = 1_000_000_000_000_000;

    /// Reads a JSON number or a text such as `"18.99"`: decimal digits, at most one point, and an
    /// exponent as JSON writes it. What is finer than the minor unit is rounded half up. Anything
    /// else, negative amounts included, is no amount.
    #[must_use]
    pub fn parse(value: &Value, currency: Currency) -> Option<Money> {
        let minor = match value {
            // serde_json prints the shortest text that reads back as the same number, which is the
            // text the client sent for every amount of up to 15 digits.
            Value::Number(number) => match number.as_u64() {
                Some(whole) => whole
                    .checked_mul(10_u64.pow(currency.decimals()))
                    .filter(|m| *m <= Money::MINOR_MAX),
                None => minor_units(&number.to_string(), currency.decimals()),
            },
            Value::String(text) => minor_units(text.trim(), currency.decimals()),
            _ => None,
        }?;
        Some(Money(minor, currency))
    }

    /// The first of `names` in `properties` that is an amount, in the currency that they name.
    #[must_use]
    pub fn of(properties: &Map<String, Value>, names: &[&str]) -> Option<Money> {
        let code = properties.get("currency").and_then(Value::as_str);
        let currency = code.map_or(Currency::USD, Currency::parse);
        names.iter().find_map(|name| Money::parse(properties.get(*name)?, currency))
    }

    /// This many of it; none where that is above the limit.
    #[must_use]
    pub fn times(self, n: u32) -> Option<Money> {
        let minor = self.0.checked_mul(u64::from(n)).filter(|minor| *minor <= Money::MINOR_MAX)?;
        Some(Money(minor, self.1))
    }

    /// The amount without its currency: `18.99`.
    #[must_use]
    pub fn amount(self) -> String {
        let decimals = self.1.decimals();
        let unit = 10_u64.pow(decimals);
        if decimals == 0 {
            return self.0.to_string();
        }
        format!("{}.{:0width$}", self.0 / unit, self.0 % unit, width = decimals as usize)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.1.code(), self.amount())
    }
}

/// Digits of which more than this are no amount.
const DIGITS_MAX: usize = 40;

/// `text` in units of 10^-decimals, rounded half up.
pub(super) fn minor_units(text: &str, decimals: u32) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.len() + fraction.len();
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if digits == 0 || digits > DIGITS_MAX || !all_digits || exponent.abs() > 60 {
        return None;
    }
    // Digits left of the minor unit's point, which may lie outside the digits there are.
    let point = i32::try_from(whole.len()).ok()? + exponent + i32::try_from(decimals).ok()?;
    let mut minor: u64 = 0;
    let mut place = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if place >= point {
            let up = u64::from(place == point && byte >= b'5');
            return minor.checked_add(up).filter(|minor| *minor <= Money::MINOR_MAX);
        }
        minor = minor.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        place += 1;
    }
    for _ in place..point {
        minor = minor.checked_mul(10)?;
    }
    Some(minor).filter(|minor| *minor <= Money::MINOR_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn minor(value: &Value, code: &str) -> Option<u64> {
        Money::parse(value, Currency::parse(code)).map(|money| money.0)
    }

    #[test]
    fn amounts_are_exact() {
        for (value, code, expected) in [
            (json!(18.99), "USD", Some(1_899)),
            (json!(0.1), "eur", Some(10)),
            (json!(0.29), "EUR", Some(29)),
            (json!(1.005), "EUR", Some(101)),
            (json!(1.004), "EUR", Some(100)),
            (json!(25), "USD", Some(2_500)),
            (json!(1999), "JPY", Some(1_999)),
            (json!(1.5), "JPY", Some(2)),
            (json!(1.234), "KWD", Some(1_234)),
            (json!(" 18.99 "), "USD", Some(1_899)),
            (json!("18"), "USD", Some(1_800)),
            (json!(".5"), "USD", Some(50)),
            (json!(1e3), "USD", Some(100_000)),
            (json!("1.5e1"), "USD", Some(1_500)),
            (json!(1e-7), "USD", Some(0)),
            (json!("0.005"), "USD", Some(1)),
            (json!("5e-3"), "USD", Some(1)),
            (json!("0.05"), "JPY", Some(0)),
            (json!(-1), "USD", None),
            (json!(-0.5), "USD", None),
            (json!("$18.99"), "USD", None),
            (json!("1,299.00"), "USD", None),
            (json!("1.2.3"), "USD", None),
            (json!(""), "USD", None),
            (json!("."), "USD", None),
            (json!("NaN"), "USD", None),
            (json!(1e300), "USD", None),
            (json!("1e999999999999"), "USD", None),
            (json!(u64::MAX), "USD", None),
            (json!(true), "USD", None),
            (json!(null), "USD", None),
        ] {
            assert_eq!(minor(&value, code), expected, "{value} {code}");
        }
    }

    #[test]
    fn every_cent_reads_as_itself() {
        for cents in 0..200_000_u64 {
            let text = Money(cents, Currency::USD).amount();
            let number: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(minor(&number, "USD"), Some(cents), "{text}");
        }
    }

    #[test]
    fn currencies() {
        assert_eq!(Currency::parse("usd"), Currency::USD);
        assert_eq!(Currency::parse("Gold"), Currency::UNKNOWN);
        assert_eq!(Money(1_234, Currency::parse("KWD")).to_string(), "KWD 1.234");
        assert_eq!(Money(1_205, Currency::USD).to_string(), "USD 12.05");
        assert_eq!(Money(12, Currency::parse("JPY")).to_string(), "JPY 12");
        let stored = serde_json::to_string(&Money(5, Currency::parse("EUR"))).unwrap();
        assert_eq!(stored, r#"[5,"EUR"]"#);
        assert_eq!(serde_json::from_str::<Money>(&stored).unwrap().1.code(), "EUR");
    }
}
