//! Numbers with units as people write them: `20ms`, `3%`, `256kbit`, `32KiB`.

use std::time::Duration;

use crate::limits::MAX_TIME;

/// A number and what stands behind it.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

/// `500us`, `20ms`, `1.5s`, `2m`; at most an hour.
pub fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" | "min" => number * 60.0,
        _ => return None,
    };
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (time <= MAX_TIME).then_some(time)
}

/// `3%`, `0.1%`, as 0 to 1.
pub(crate) fn share(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    (unit == "%" && number <= 100.0).then_some(number / 100.0)
}

/// `900bit`, `256kbit`, `10mbit`, `1gbit`, in bits a second.
pub(crate) fn rate(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return None,
    };
    let bits = number * factor;
    (1.0..=1e12).contains(&bits).then_some(bits as u64)
}

/// `1500`, `32KiB`, `64KB`, `1MiB`.
pub(crate) fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1.0,
        "KB" | "kB" => 1e3,
        "MB" => 1e6,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * factor;
    (bytes <= 1e9).then_some(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_units() {
        assert_eq!(time("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(time("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(share("3%"), Some(0.03));
        assert_eq!(rate("256kbit"), Some(256_000));
        assert_eq!(rate("1Gbit"), Some(1_000_000_000));
        assert_eq!(bytes("32KiB"), Some(32_768));
        assert_eq!(bytes("1500"), Some(1_500));
    }

    #[test]
    fn what_is_no_number_with_a_unit_is_refused() {
        for text in ["", "ms", "20", "-1ms", "1e9s", "2h", "61m", "1.2.3s"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(share("101%"), None);
        assert_eq!(share("3"), None);
        assert_eq!(rate("0kbit"), None);
        assert_eq!(rate("5"), None);
        assert_eq!(bytes("3GiB"), None);
    }
}
