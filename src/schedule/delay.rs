//! The delay of starts that would else all fall on one instant.

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use crate::model::Timespan;

/// A delay from nothing to `most` for a database of this name: always the same one, and spread evenly over names.
pub fn delay(name: &str, most: Timespan) -> SignedDuration {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(name));
    let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let most = u64::try_from(most.0.as_millis()).unwrap_or(u64::MAX);
    let delay = (u128::from(place) * (u128::from(most) + 1)) >> 64;
    SignedDuration::from_millis(i64::try_from(delay).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_belongs_to_a_name_for_ever() {
        let hour = Timespan::from_secs(3600);
        assert_eq!(delay("shop", hour), SignedDuration::from_millis(0));
        assert_eq!(delay("blog", hour), SignedDuration::from_millis(0));
        assert_eq!(delay("shop", Timespan::default()), SignedDuration::ZERO);
    }

    #[test]
    fn delays_are_spread_evenly_and_never_above_the_most() {
        let most = Timespan::from_secs(10 * 60);
        let mut tenths = [0; 10];
        for i in 0..10_000 {
            let delay = delay(&format!("db-{i}"), most);
            assert!(!delay.is_negative() && delay.unsigned_abs() <= most.0, "{delay:?}");
            tenths[usize::try_from(delay.as_secs().min(599) / 60).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|n| (850..1150).contains(n)), "{tenths:?}");
    }
}
