//! How many at once, and how many failures?

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How many of `all` a limit allows at once: a share is rounded up, and at least one is allowed, or the wave would never
/// end. Kubernetes rounds `maxSurge` in the same direction.
pub fn at_once(limit: &IntOrString, all: u32) -> u32 {
    match limit {
        IntOrString::Int(number) => u32::try_from(*number).unwrap_or(0).max(1),
        IntOrString::String(share) => share_of(share, all).map_or(1, |(share, all)| part(share * all + 99)).max(1),
    }
}

/// How many of `all` may fail: a share is rounded down. Kubernetes rounds `maxUnavailable` in the same direction.
pub fn failures(limit: &IntOrString, all: u32) -> u32 {
    match limit {
        IntOrString::Int(number) => u32::try_from(*number).unwrap_or(0),
        IntOrString::String(share) => share_of(share, all).map_or(0, |(share, all)| part(share * all)),
    }
}

fn share_of(text: &str, all: u32) -> Option<(u64, u64)> {
    let percent: u64 = text.strip_suffix('%')?.parse().ok()?;
    Some((percent.min(100), u64::from(all)))
}

fn part(hundredths: u64) -> u32 {
    u32::try_from(hundredths / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(percent: &str) -> IntOrString {
        IntOrString::String(percent.to_owned())
    }

    #[test]
    fn a_share_at_once_is_rounded_up_and_never_none() {
        assert_eq!(at_once(&share("10%"), 58), 6);
        assert_eq!(at_once(&share("10%"), 60), 6);
        assert_eq!(at_once(&share("1%"), 3), 1);
        assert_eq!(at_once(&share("100%"), 0), 1);
        assert_eq!(at_once(&IntOrString::Int(4), 2), 4);
    }

    #[test]
    fn a_share_of_failures_is_rounded_down() {
        assert_eq!(failures(&share("5%"), 133), 6);
        assert_eq!(failures(&share("5%"), 19), 0);
        assert_eq!(failures(&IntOrString::Int(2), 1), 2);
    }

    #[test]
    fn what_is_no_limit_is_the_most_careful_one() {
        for odd in [share(""), share("many"), share("-5%"), IntOrString::Int(-3)] {
            assert_eq!((at_once(&odd, 100), failures(&odd, 100)), (1, 0));
        }
    }

    proptest! {
        #[test]
        fn a_share_is_between_what_it_is_exactly_and_one_more(percent in 0u32..=100, all: u32) {
            let (up, down) = (at_once(&share(&format!("{percent}%")), all), failures(&share(&format!("{percent}%")), all));
            let exact = f64::from(percent) * f64::from(all) / 100.0;
            prop_assert!(f64::from(down) <= exact + 1e-6 && exact < f64::from(down) + 1.0 + 1e-6);
            prop_assert!(up >= 1 && (f64::from(up) - exact < 1.0 + 1e-6 && f64::from(up) >= exact - 1e-6));
        }
    }
}
