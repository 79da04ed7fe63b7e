//! Numbers as people read them.

use std::time::Duration;

/// A span of time in at most two units.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if seconds == 0 => format!("{} ms", time.as_millis()),
        () if minutes < 2 => format!("{seconds} s"),
        () if hours < 2 => format!("{minutes} min {} s", seconds % 60),
        () if days < 2 => format!("{hours} h {} min", minutes % 60),
        () => format!("{days} d {} h", hours % 24),
    }
}

/// A time as a clock shows it and how long ago that is; both in milliseconds since 1970 by the same clock.
pub(super) fn since(then: u64, now: u64) -> String {
    let (ago, seconds) = (now.saturating_sub(then), then / 1_000 % 86_400);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("since {hours:02}:{minutes:02}:{seconds:02} UTC ({} ago)", span(Duration::from_millis(ago)))
}

/// Bytes in the unit that leaves the fewest digits, three at most before the point.
pub(super) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let step = (1..units.len()).take_while(|step| count >> (10 * step) > 0).last().unwrap_or_default();
    match (step, count as f64 / (1u64 << (10 * step)) as f64) {
        (0, value) => format!("{value} B"),
        (step, value) => format!("{value:.1} {}", units.get(step).copied().unwrap_or_default()),
    }
}

/// Text from elsewhere without what a terminal takes for commands: a space for each control character.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// `1 peer`, `2 peers`.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        let table = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (119_000, "119 s"),
            (125_000, "2 min 5 s"),
            (7_260_000, "2 h 1 min"),
            (200_000_000, "2 d 7 h"),
        ];
        for (milliseconds, expected) in table {
            assert_eq!(span(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(since(1_700_000_000_000, 1_700_000_045_000), "since 22:13:20 UTC (45 s ago)");
        assert_eq!(since(5, 0), "since 00:00:00 UTC (0 ms ago)", "clocks may go back");
    }

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(printable("\x1b[31mred\r\n\u{9b}2J\x7f é"), " [31mred   2J  é");
    }

    #[test]
    fn bytes_have_a_unit() {
        let table =
            [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (u64::MAX, "16384.0 PiB")];
        for (number, expected) in table {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!((count(1, "peer").as_str(), count(0, "peer").as_str()), ("1 peer", "0 peers"));
    }
}
