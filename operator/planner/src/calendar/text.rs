//! Which time of day, or which day, is written here?
//!
//! Exactly the forms that the schema lets through: what jiff itself would also read, such as `2026-07-01T00:00`, is none.

use jiff::civil::{Date, Time};

/// `HH:MM`.
pub(super) fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(two_digits(hour)?, two_digits(minute)?, 0, 0).ok()
}

/// `YYYY-MM-DD`, a day that exists.
pub(super) fn date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = month_and_day(rest)?;
    let digits = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let year = digits.then(|| year.parse().ok()).flatten()?;
    Date::new(year, month, day).ok()
}

/// `MM-DD`, whether or not such a day exists.
pub(super) fn month_and_day(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-')?;
    Some((two_digits(month)?, two_digits(day)?))
}

fn two_digits(text: &str) -> Option<i8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil;

    #[test]
    fn a_time_is_five_characters() {
        for text in ["", ":", "1:00", "01:0", "+1:00", "24:00", "23:60", "12:00:00", "aa:bb", "١٢:٠٠", "12-00"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(time("23:59"), Some(civil::time(23, 59, 0, 0)));
    }

    #[test]
    fn a_date_is_ten_characters_and_exists() {
        for text in
            ["", "2026-02-30", "2027-02-29", "2026-13-01", "2026-2-01", "26-02-01", "2026-07-01T00:00", "-026-02-01"]
        {
            assert_eq!(date(text), None, "{text}");
        }
        assert_eq!(date("2028-02-29"), Some(civil::date(2028, 2, 29)));
    }
}
