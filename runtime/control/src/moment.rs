//! Moments as people write them: `2026-11-20 12:00`, `-2 h`, `now`. Universal time (UTC) where no offset is given.

use crate::Time;
use crate::reading::date as civil;
use fodo_report::{Diagnostic, Kind, Result};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

impl Time {
    /// Reads a moment: a date and time of day, UTC or with an offset; `now`; or how long before `now`.
    ///
    /// `2026-11-20`, `2026-11-20 12:00`, `2026-11-20 12:00:03.5`, `2026-11-20T12:00+01:00`, `-2 h`, `now`.
    ///
    /// # Errors
    /// Kind `script`: it is none of these.
    pub fn parse(text: &str, now: Time) -> Result<Time> {
        let trimmed = text.trim();
        let read = match trimmed.strip_prefix('-') {
            _ if trimmed == "now" => Some(now),
            Some(span) => back(span).and_then(|span| now.0.checked_sub(span)).map(Time),
            None => date(trimmed),
        };
        read.ok_or_else(|| {
            Diagnostic::new(Kind::Script, format!("`{text}` is not a moment"))
                .hint("write \"2026-11-20 12:00\" or \"2026-11-20 12:00:03.5\" (UTC; or with an offset, as \"+01:00\"), \"-2 h\" or \"now\"")
                .into()
        })
    }

    /// The beginning of a year, UTC.
    pub fn year(year: i64) -> Time {
        Time(days(year, 1, 1).saturating_mul(DAY).saturating_mul(SECOND))
    }

    /// As text in UTC: `2026-11-20 12:00:03.500000000`, without the last zeros; [`Time::parse`] reads it.
    pub fn utc(self) -> String {
        let (seconds, nanos) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let of_day = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
        let fraction = fraction.trim_end_matches('0');
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
    }
}

/// `2 h` in nanoseconds.
fn back(span: &str) -> Option<i64> {
    let span = span.trim();
    let split = span.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = span.split_at(split);
    let unit = match unit.trim() {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => DAY as f64,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    (0.0..=4e9).contains(&(number * unit)).then_some((number * unit * SECOND as f64) as i64)
}

fn date(text: &str) -> Option<Time> {
    let (day, rest) = text.split_at_checked(10)?;
    let numbers: Vec<i64> = day.split('-').map(digits).collect::<Option<_>>()?;
    let &[year, month, day] = numbers.as_slice() else { return None };
    let midnight = days(year, month, day);
    // a day that is not there comes back as another one
    if !(1700..2200).contains(&year) || civil(midnight) != (year, month, day) {
        return None;
    }
    let (of_day, offset) = clock(rest)?;
    Some(Time((midnight * DAY - offset) * SECOND + of_day))
}

/// ` 12:00:03.5+01:00` as nanoseconds of the day and seconds before UTC.
fn clock(text: &str) -> Option<(i64, i64)> {
    if text.is_empty() {
        return Some((0, 0));
    }
    let text = text.strip_prefix(['T', ' '])?.trim();
    let split = text.find(['+', '-', 'Z', 'U', ' ']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(split);
    let offset = match zone.trim() {
        "" | "Z" | "UTC" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let seconds = digits(hours)? * 3600 + digits(minutes)? * 60;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let second = match parts.next() {
        None => 0,
        Some(second) => nanos(second)?,
    };
    let there = parts.next().is_none() && hour < 24 && minute < 60 && second < 61 * SECOND;
    there.then_some(((hour * 3600 + minute * 60) * SECOND + second, offset))
}

/// `03.5` in nanoseconds, exactly.
fn nanos(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 9 {
        return None;
    }
    let places = 9 - fraction.len() as u32;
    Some(digits(whole)? * SECOND + digits(fraction)? * 10_i64.pow(places))
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years are counted from March, so that the leap day is last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let in_year = (153 * since_march + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Time = Time(1_800_000_000 * SECOND);

    #[test]
    fn moments_are_read_and_written_in_utc() {
        // seconds by `date -u -d TEXT +%s`
        let known = [
            ("1970-01-01", 0),
            ("2000-02-29 12:34:56", 951_827_696),
            ("2026-11-20 12:00", 1_795_176_000),
            ("2026-11-20T12:00:00Z", 1_795_176_000),
            ("2026-11-20 13:00:00+01:00", 1_795_176_000),
            ("2026-11-20 07:30 -04:30", 1_795_176_000),
            ("2099-12-31 23:59:59 UTC", 4_102_444_799),
            ("now", 1_800_000_000),
            ("-2 h", 1_799_992_800),
            ("-1.5min", 1_799_999_910),
        ];
        for (text, seconds) in known {
            let time = Time::parse(text, NOW).unwrap();
            assert_eq!(time, Time(seconds * SECOND), "{text}");
            assert_eq!(Time::parse(&time.utc(), NOW).unwrap(), time, "{text}");
        }
        let half = Time::parse("2026-11-20 12:00:03.5", NOW).unwrap();
        assert_eq!((half.0, half.utc().as_str()), (1_795_176_003_500_000_000, "2026-11-20 12:00:03.5"));
        assert_eq!(Time::year(2027), Time::parse("2027-01-01", NOW).unwrap());
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in -146_097..146_097 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "yesterday", "2026-02-30", "2026-11-20 25:00", "2026-11-20 12", "-2", "-2 m", "-h", "2 h", "12:00"]
        {
            let error = Time::parse(text, NOW).unwrap_err();
            assert!(error.message.contains("is not a moment") && error.hints[0].contains("UTC"), "{text}");
        }
    }
}
