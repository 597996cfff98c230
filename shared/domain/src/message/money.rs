//! Money for people: minor units and a currency, without floats.

/// How many minor units make one, as a power of ten (ISO 4217, where it is not two).
const fn digits(currency: &[u8]) -> usize {
    match currency {
        b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
        | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
        b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
        _ => 2,
    }
}

const fn symbol(currency: &[u8]) -> Option<&'static str> {
    match currency {
        b"EUR" => Some("€"),
        b"USD" => Some("$"),
        b"GBP" => Some("£"),
        b"JPY" => Some("¥"),
        b"INR" => Some("₹"),
        _ => None,
    }
}

/// `1234` of `EUR` as `€12.34`, of `CHF` as `CHF 12.34`; none where the currency is not three
/// letters.
pub(super) fn format(minor: i64, currency: &str) -> Option<String> {
    let currency = currency.trim().to_ascii_uppercase();
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let digits = digits(currency.as_bytes());
    let all = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = all.split_at(all.len() - digits);
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if minor < 0 { "-" } else { "" };
    let unit = symbol(currency.as_bytes()).map_or_else(|| format!("{currency} "), str::to_owned);
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{unit}{grouped}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (minor, currency, expected) in [
            (1_234, "EUR", "€12.34"),
            (5, "usd", "$0.05"),
            (0, "GBP", "£0.00"),
            (123_456_789, "CHF", "CHF 1,234,567.89"),
            (1_500, "JPY", "¥1,500"),
            (1_500, "KWD", "KWD 1.500"),
            (-250, "EUR", "-€2.50"),
            (i64::MIN, "EUR", "-€92,233,720,368,547,758.08"),
        ] {
            assert_eq!(format(minor, currency).as_deref(), Some(expected));
        }
        for currency in ["", "EU", "EURO", "€€€", "12a"] {
            assert_eq!(format(1, currency), None);
        }
    }
}
