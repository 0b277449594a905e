//! Numbers as people read them.

use std::time::Duration;

/// `5 298`: thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown
}

/// `12 photos`, `1 photo`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `4.2 MB`, in powers of a thousand.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && size < 9.95);
    format!("{size:.digits$} {}", UNITS[unit])
}

/// `4.1ms`, `2.3s`, `2m21s`, `1h04m`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        _ if seconds < 0.0995 => format!("{:.1}ms", seconds * 1e3),
        _ if seconds < 0.9995 => format!("{:.0}ms", seconds * 1e3),
        _ if seconds < 59.95 => format!("{seconds:.1}s"),
        whole if whole < 3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        whole => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// `48s`, `1m48s`, `1h04m`.
pub(crate) fn whole_seconds(left: Duration) -> String {
    let seconds = left.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { duration(left) }
}

/// `86%`, from a share of 1.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(5298), "5 298");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(counted(1, "picture", "pictures"), "1 picture");
    }

    #[test]
    fn bytes_have_two_digits_or_three() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(4_200_000), "4.2 MB");
        assert_eq!(bytes(999_600), "1.0 MB");
        assert_eq!(bytes(42_000), "42 kB");
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        assert_eq!(duration(Duration::from_micros(4100)), "4.1ms");
        assert_eq!(duration(Duration::from_millis(421)), "421ms");
        assert_eq!(duration(Duration::from_millis(2300)), "2.3s");
        assert_eq!(duration(Duration::from_secs(141)), "2m21s");
        assert_eq!(duration(Duration::from_secs(3840)), "1h04m");
        assert_eq!(whole_seconds(Duration::from_millis(48_300)), "48s");
        assert_eq!(whole_seconds(Duration::from_secs(108)), "1m48s");
    }
}
