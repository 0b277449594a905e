//! Calendar dates in queries: `2021`, `2021-07`, `2021-07-14`.

const SECONDS_A_DAY: i64 = 86_400;

/// The first second of a year, month or day, in seconds since 1970 (no time zone: photos carry
/// the local time of where they were taken). `None` if the text is no such date.
pub(super) fn period_start(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| number(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 2))?;
    let exists = parts.next().is_none()
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day);
    exists.then(|| days_since_1970(year, month, day) * SECONDS_A_DAY)
}

/// Exactly `digits` ASCII digits as a number.
fn number(text: &str, digits: usize) -> Option<i64> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, extended backwards.
///
/// The year is counted from March, so that the leap day is its last; 400 such years are always
/// 146,097 days.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months_from_march = (month + 9) % 12;
    let day_of_year = (153 * months_from_march + 2) / 5 + day - 1;
    let (cycle, year_of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * 146_097 + day_of_cycle - 719_468
}

#[cfg(test)]
mod tests {
    use super::period_start;

    #[test]
    fn a_year_a_month_and_a_day_start_at_their_first_second() {
        assert_eq!(period_start("1970"), Some(0));
        assert_eq!(period_start("1970-02"), Some(31 * 86_400));
        assert_eq!(period_start("2000-03-01"), Some(951_868_800));
        assert_eq!(period_start("2021-07-14"), Some(1_626_220_800));
        assert_eq!(period_start("1969-12-31"), Some(-86_400));
    }

    #[test]
    fn days_that_do_not_exist_are_no_dates() {
        for text in ["2021-02-29", "2021-13", "2021-00", "2021-04-31", "21", "2021-7", "", "x"] {
            assert_eq!(period_start(text), None, "{text}");
        }
        for text in ["2021-", "2021-07-14-", "2021-07-1４", "+202", "1900-02-29"] {
            assert_eq!(period_start(text), None, "{text}");
        }
        assert!(period_start("2000-02-29").is_some());
    }

    #[test]
    fn consecutive_days_are_a_day_apart() {
        let mut last = period_start("1899-12-31").unwrap();
        for year in 1900..2101 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let Some(start) = period_start(&format!("{year:04}-{month:02}-{day:02}"))
                    else {
                        continue;
                    };
                    assert_eq!(start - last, 86_400, "{year}-{month}-{day}");
                    last = start;
                }
            }
        }
    }
}
