//! [`OffsetReset`]: `auto.offset.reset`, with durations as ISO 8601 writes them.
//!
//! Sources: KIP-1106 (by duration).

use std::time::Duration;

use ottla_client::options::OptionValue;

/// What a duration begins with in the option's text.
const BY_DURATION: &str = "by_duration:";

/// `auto.offset.reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the log's start.
    Earliest,
    /// At the log's end.
    Latest,
    /// Nowhere: `poll` returns an error.
    None,
    /// At the first record that is not older than this, at the moment of the reset; at the end if all are older. As text
    /// `by_duration:` and an ISO 8601 duration: `by_duration:PT1H`, `by_duration:P2DT30M`.
    ByDuration(Duration),
}

impl OptionValue for OffsetReset {
    fn kind() -> String {
        "`earliest`, `latest`, `none`, `by_duration:` and an ISO 8601 duration (`by_duration:PT1H`)"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let named = [
            ("earliest", OffsetReset::Earliest),
            ("latest", OffsetReset::Latest),
            ("none", OffsetReset::None),
        ];
        if let Some((_, reset)) = named.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            return Ok(*reset);
        }
        let prefix = text.get(..BY_DURATION.len()).filter(|prefix| prefix.eq_ignore_ascii_case(BY_DURATION));
        let duration = prefix.and_then(|prefix| iso_duration(&text[prefix.len()..]));
        duration.map(OffsetReset::ByDuration).ok_or_else(|| format!("one of {}", Self::kind()))
    }

    fn render(&self) -> String {
        match self {
            OffsetReset::Earliest => "earliest".to_owned(),
            OffsetReset::Latest => "latest".to_owned(),
            OffsetReset::None => "none".to_owned(),
            OffsetReset::ByDuration(duration) => format!("{BY_DURATION}{}", iso_text(*duration)),
        }
    }
}

/// Reads `P2DT3H4M5.6S` as Java's `Duration` does: every part may be left out, but not all, and may have a sign; the whole
/// must not be negative.
fn iso_duration(text: &str) -> Option<Duration> {
    const UNITS: [(char, bool, i128); 4] =
        [('D', false, 86_400), ('H', true, 3_600), ('M', true, 60), ('S', true, 1)];
    let text = text.to_ascii_uppercase();
    let (sign, text) = signed(&text);
    let (days, times) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, times)) => (days, times),
        None => (text.strip_prefix('P')?, ""),
    };
    let (mut nanos, mut units, mut parts): (i128, _, _) = (0, UNITS.iter(), 0);
    for (mut rest, of_time) in [(days, false), (times, true)] {
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let (number, unit) = (&rest[..end], rest[end..].chars().next()?);
            // Parts come in this order, each once.
            let (_, _, seconds) =
                units.by_ref().find(|(name, is_time, _)| (*name, *is_time) == (unit, of_time))?;
            nanos = nanos.checked_add(part(number, unit == 'S')?.checked_mul(*seconds)?)?;
            parts += 1;
            rest = &rest[end + 1..];
        }
    }
    let nanos = u128::try_from(nanos * sign).ok().filter(|_| parts > 0)?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// A number in billionths; only seconds may have a fraction.
fn part(text: &str, may_have_fraction: bool) -> Option<i128> {
    let (sign, text) = signed(text);
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) if may_have_fraction && fraction.len() <= 9 => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(sign * (whole * 1_000_000_000 + fraction))
}

fn signed(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn iso_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let mut text = "PT".to_owned();
    for (count, unit) in [(seconds / 3_600, 'H'), (seconds / 60 % 60, 'M')] {
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    let (rest, nanos) = (seconds % 60, duration.subsec_nanos());
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        text.push_str(&format!("{rest}.{}S", fraction.trim_end_matches('0')));
    } else if rest > 0 || seconds == 0 {
        text.push_str(&format!("{rest}S"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        match OffsetReset::parse(text) {
            Ok(OffsetReset::ByDuration(duration)) => Some(duration),
            _ => None,
        }
    }

    #[test]
    fn durations_are_read_as_java_reads_them() {
        let read = [
            ("by_duration:PT1H", 3_600_000),
            ("by_duration:P1D", 86_400_000),
            ("BY_DURATION:p2dt3h4m5.006s", 183_845_006),
            ("by_duration:PT0S", 0),
            ("by_duration:PT90M", 5_400_000),
            ("by_duration:+PT1,5S", 1_500),
            ("by_duration:PT1H-30M", 1_800_000),
            ("by_duration:-PT-1M", 60_000),
        ];
        for (text, millis) in read {
            assert_eq!(parsed(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_lies_in_the_future_is_refused() {
        let refused = [
            "by_duration",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1DT",
            "by_duration:1H",
            "by_duration:PT1",
            "by_duration:P1H",
            "by_duration:PT1D",
            "by_duration:PT1M1H",
            "by_duration:PT1H1H",
            "by_duration:PT1.5H",
            "by_duration:PT.5S",
            "by_duration:PT1.0000000001S",
            "by_duration:-PT1H",
            "by_duration:PT99999999999999999999S",
            "by_duration:P\u{e9}",
            "sometime",
        ];
        for text in refused {
            let error = OffsetReset::parse(text).unwrap_err();
            assert!(error.contains("by_duration:PT1H"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = [
            (OffsetReset::Earliest, "earliest"),
            (OffsetReset::Latest, "latest"),
            (OffsetReset::None, "none"),
            (OffsetReset::ByDuration(Duration::ZERO), "by_duration:PT0S"),
            (OffsetReset::ByDuration(Duration::from_millis(176_461_500)), "by_duration:PT49H1M1.5S"),
            (OffsetReset::ByDuration(Duration::from_secs(120)), "by_duration:PT2M"),
        ];
        for (reset, text) in written {
            assert_eq!((reset.render().as_str(), OffsetReset::parse(text)), (text, Ok(reset)));
        }
    }
}
