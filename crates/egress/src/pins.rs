//! Which names an address was answered for in this sandbox. Pure: the clock is given.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use agentkernel_types::DomainName;

/// Most addresses, and most names of one address.
const MOST_ADDRESSES: usize = 4096;
const MOST_NAMES: usize = 16;
/// Programs keep addresses longer than they were told to. A pin is judged again at each connection, so a long life
/// allows nothing that the policy does not allow for the name.
const SHORTEST: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(crate) struct Pins {
    addresses: HashMap<IpAddr, Vec<(DomainName, Instant)>>,
}

impl Pins {
    pub fn add(&mut self, address: IpAddr, name: &DomainName, lifetime: Duration, now: Instant) {
        let until = now + lifetime.clamp(SHORTEST, LONGEST);
        if !self.addresses.contains_key(&address) && self.addresses.len() >= MOST_ADDRESSES {
            self.make_room(now);
        }
        let names = self.addresses.entry(address).or_default();
        names.retain(|(old, end)| old != name && *end > now);
        if names.len() >= MOST_NAMES {
            // The oldest is the first.
            names.remove(0);
        }
        names.push((name.clone(), until));
    }

    pub fn names(&self, address: IpAddr, now: Instant) -> Vec<DomainName> {
        let Some(names) = self.addresses.get(&address) else {
            return Vec::new();
        };
        let alive = names.iter().filter(|(_, until)| *until > now);
        alive.map(|(name, _)| name.clone()).collect()
    }

    fn make_room(&mut self, now: Instant) {
        self.addresses
            .retain(|_, names| names.iter().any(|(_, until)| *until > now));
        if self.addresses.len() < MOST_ADDRESSES {
            return;
        }
        let last = |names: &Vec<(DomainName, Instant)>| names.iter().map(|(_, until)| *until).max();
        let oldest = self
            .addresses
            .iter()
            .min_by_key(|(_, names)| last(names))
            .map(|(address, _)| *address);
        if let Some(oldest) = oldest {
            self.addresses.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_the_names_that_it_was_answered_for() {
        let now = Instant::now();
        let mut pins = Pins::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        pins.add(address, &name("a.example"), Duration::ZERO, now);
        pins.add(address, &name("b.example"), Duration::ZERO, now);
        pins.add(address, &name("a.example"), Duration::ZERO, now);
        assert_eq!(pins.names(address, now), [name("b.example"), name("a.example")]);
        assert!(pins.names(IpAddr::from([192, 0, 2, 2]), now).is_empty());
    }

    #[test]
    fn a_pin_lives_at_least_ten_minutes_and_not_for_ever() {
        let now = Instant::now();
        let mut pins = Pins::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        pins.add(address, &name("a.example"), Duration::from_secs(1), now);
        assert_eq!(pins.names(address, now + Duration::from_secs(599)).len(), 1);
        assert_eq!(pins.names(address, now + Duration::from_secs(601)).len(), 0);
    }

    #[test]
    fn the_number_of_pins_is_bounded_and_the_newest_stay() {
        let now = Instant::now();
        let mut pins = Pins::default();
        for number in 0..6000u32 {
            let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            let later = now + Duration::from_millis(u64::from(number));
            pins.add(address, &name("a.example"), Duration::ZERO, later);
        }
        assert_eq!(pins.addresses.len(), MOST_ADDRESSES);
        assert_eq!(
            pins.names(IpAddr::from((0x0a00_0000u32 + 5999).to_be_bytes()), now)
                .len(),
            1
        );
        for number in 0..100 {
            pins.add(
                [10, 0, 0, 1].into(),
                &name(&format!("n{number}.example")),
                Duration::ZERO,
                now,
            );
        }
        assert_eq!(pins.names([10, 0, 0, 1].into(), now).len(), MOST_NAMES);
    }
}
