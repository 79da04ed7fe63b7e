//! How a caller wants something traced.

use crate::error::MethodError;
use std::time::Duration;

/// A duration as Go writes it: `5s`, `1m30s`, `1.5s`, `250ms`.
pub(super) fn go_duration(text: &str) -> Result<Duration, MethodError> {
    let invalid = || MethodError::InvalidParams(format!(r#"invalid timeout "{text}", expected for example "2s""#));
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, tail) = rest.split_at_checked(number).ok_or_else(invalid)?;
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit).ok_or_else(invalid)?;
        let seconds = number.parse::<f64>().map_err(|_| invalid())? * seconds_of(unit).ok_or_else(invalid)?;
        sum = sum.saturating_add(Duration::try_from_secs_f64(seconds).map_err(|_| invalid())?);
        rest = tail;
    }
    if text.is_empty() { Err(invalid()) } else { Ok(sum) }
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        for (text, millis) in [("5s", 5_000), ("1m30s", 90_000), ("1.5s", 1_500), ("250ms", 250), ("0.5h", 1_800_000)] {
            assert_eq!(go_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1x", "1..2s", "9e9s"] {
            assert!(go_duration(text).is_err(), "{text}");
        }
    }
}
