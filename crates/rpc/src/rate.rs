//! Calls a second of one address.

use lru::LruCache;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

/// Addresses that are remembered; one that was pushed out begins anew.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Bits of an IPv6 address that its user did not choose.
const IPV6_PREFIX: u32 = 64;

/// Lets each address make so many calls a second, and as many at once after a second of silence.
pub(crate) struct RateLimiter {
    per_second: NonZeroU32,
    /// Since when an address would have been silent, had it called at an even pace.
    paid_until: Mutex<LruCache<IpAddr, Instant>>,
}

impl RateLimiter {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, paid_until: Mutex::new(LruCache::new(ADDRESSES_MAX)) }
    }

    /// Lets `calls` of an address through, or says when to come again. More than a second's calls wait for as many as that.
    pub(crate) fn admit(&self, address: IpAddr, calls: usize, now: Instant) -> Result<(), Duration> {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX).min(self.per_second.get());
        let cost = Duration::from_secs(1) * calls / self.per_second.get();
        let mut paid_until = self.paid_until.lock();
        let before = paid_until.get(&subject(address)).map_or(now, |until| now.max(*until));
        let after = before + cost;
        let early = (after - now).saturating_sub(Duration::from_secs(1));
        if !early.is_zero() {
            return Err(early);
        }
        paid_until.put(subject(address), after);
        Ok(())
    }
}

/// Who is behind an address: of IPv6 a subscriber has a whole /64.
pub(crate) fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> IPV6_PREFIX << IPV6_PREFIX).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_calls_a_second() {
        let (limiter, start) = (RateLimiter::new(NonZeroU32::new(10).unwrap()), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let (one, two) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!(limiter.admit(one, 10, at(0)), Ok(()));
        assert_eq!(limiter.admit(one, 1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(limiter.admit("::ffff:10.0.0.1".parse().unwrap(), 1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(limiter.admit(two, 1, at(0)), Ok(()));
        assert_eq!(limiter.admit(one, 1, at(100)), Ok(()));
        assert!(limiter.admit(one, 1, at(100)).is_err());
        // What is more than a second's calls waits for a second of silence, not for ever.
        assert_eq!(limiter.admit(one, 1_000, at(600)), Err(Duration::from_millis(500)));
        assert_eq!(limiter.admit(one, 1_000, at(1_100)), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let limiter = RateLimiter::new(NonZeroU32::MIN);
        let now = Instant::now();
        assert!(limiter.admit("2001:db8:1:2::1".parse().unwrap(), 1, now).is_ok());
        assert!(limiter.admit("2001:db8:1:2:ffff::2".parse().unwrap(), 1, now).is_err());
        assert!(limiter.admit("2001:db8:1:3::1".parse().unwrap(), 1, now).is_ok());
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let limiter = RateLimiter::new(NonZeroU32::MIN);
        let now = Instant::now();
        for address in 0..100_000_u32 {
            assert!(limiter.admit(std::net::Ipv4Addr::from_bits(address).into(), 1, now).is_ok());
        }
        assert_eq!(limiter.paid_until.lock().len(), ADDRESSES_MAX.get());
    }
}
