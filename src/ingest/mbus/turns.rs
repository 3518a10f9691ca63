//! Who is served next: utilities take turns, and within each its gateways do, so that nobody waits
//! for what another has queued.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::keyring::UtilityId;

type Gateways<T> = VecDeque<(Arc<str>, VecDeque<T>)>;

/// What waits for its turn, by utility and gateway.
#[derive(Debug)]
pub(super) struct Turns<T> {
    utilities: VecDeque<(UtilityId, Gateways<T>)>,
    /// Of one gateway at most.
    most: usize,
}

impl<T> Turns<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            utilities: VecDeque::new(),
            most,
        }
    }

    /// Adds one behind its gateway's others; gives it back if there is no room.
    pub(super) fn push(&mut self, of: (UtilityId, &Arc<str>), one: T) -> Result<(), T> {
        let most = self.most;
        match self.waiting(of) {
            Some(waiting) if waiting.len() < most => {
                waiting.push_back(one);
                Ok(())
            }
            _ => Err(one),
        }
    }

    /// Adds one that has been begun before its gateway's others: there is always room for it.
    pub(super) fn push_begun(&mut self, of: (UtilityId, &Arc<str>), one: T) {
        if let Some(waiting) = self.waiting(of) {
            waiting.push_front(one);
        }
    }

    fn waiting(&mut self, (utility, gateway): (UtilityId, &Arc<str>)) -> Option<&mut VecDeque<T>> {
        let gateways = entry(&mut self.utilities, utility)?;
        entry(gateways, Arc::clone(gateway))
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (utility, mut gateways) = self.utilities.pop_front()?;
        let (gateway, mut waiting) = gateways.pop_front()?;
        let one = waiting.pop_front();
        if !waiting.is_empty() {
            gateways.push_back((gateway, waiting));
        }
        if !gateways.is_empty() {
            self.utilities.push_back((utility, gateways));
        }
        one
    }
}

/// What waits, what is urgent apart.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    urgent: Turns<T>,
    other: Turns<T>,
    was_urgent: bool,
}

impl<T> Lanes<T> {
    /// `most` of a gateway, each.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            urgent: Turns::new(most),
            other: Turns::new(most),
            was_urgent: false,
        }
    }

    pub(super) const fn turns(&mut self, urgent: bool) -> &mut Turns<T> {
        match urgent {
            true => &mut self.urgent,
            false => &mut self.other,
        }
    }

    /// The next one. What is urgent waits for one of the others at most, and these for one of it:
    /// whoever sends recorded alarms again holds nobody up for good.
    pub(super) fn pop(&mut self) -> Option<T> {
        let first = !self.was_urgent;
        let (urgent, found) = match self.turns(first).pop() {
            Some(one) => (first, Some(one)),
            None => (!first, self.turns(!first).pop()),
        };
        self.was_urgent = urgent;
        found
    }
}

/// What belongs to a key, which is put behind the others if it is not there yet: never none.
fn entry<K: PartialEq, V: Default>(all: &mut VecDeque<(K, V)>, key: K) -> Option<&mut V> {
    let place = all.iter().position(|(one, _)| *one == key);
    let place = place.unwrap_or_else(|| {
        all.push_back((key, V::default()));
        all.len().saturating_sub(1)
    });
    all.get_mut(place).map(|(_, of)| of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAS: UtilityId = UtilityId::new(*b"gasworks");
    const CITY: UtilityId = UtilityId::new(*b"citygas2");

    fn all(turns: &mut Turns<u32>) -> Vec<u32> {
        std::iter::from_fn(|| turns.pop()).collect()
    }

    #[test]
    fn utilities_take_turns_and_their_gateways_do_too() {
        let mut turns = Turns::new(9);
        let [roof, hill, town] = ["roof", "hill", "town"].map(Arc::<str>::from);
        for one in 0..4 {
            turns.push((GAS, &roof), one).unwrap();
            turns.push((GAS, &hill), 10 + one).unwrap();
        }
        turns.push((CITY, &town), 20).unwrap();
        turns.push((CITY, &town), 21).unwrap();
        assert_eq!(all(&mut turns), [0, 20, 10, 21, 1, 11, 2, 12, 3, 13]);
    }

    #[test]
    fn what_is_urgent_has_every_other_turn() {
        let mut lanes = Lanes::new(9);
        let roof = Arc::<str>::from("roof");
        for one in 0..3 {
            lanes.turns(false).push((GAS, &roof), one).unwrap();
            lanes.turns(true).push((GAS, &roof), 10 + one).unwrap();
        }
        lanes.turns(false).push((GAS, &roof), 3).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).collect();
        assert_eq!(order, [10, 0, 11, 1, 12, 2, 3]);
    }

    #[test]
    fn a_gateway_has_so_many_places_and_what_was_begun_has_one_more() {
        let mut turns = Turns::new(2);
        let [roof, hill] = ["roof", "hill"].map(Arc::<str>::from);
        assert_eq!(turns.push((GAS, &roof), 1), Ok(()));
        assert_eq!(turns.push((GAS, &roof), 2), Ok(()));
        assert_eq!(turns.push((GAS, &roof), 3), Err(3));
        assert_eq!(turns.push((GAS, &hill), 4), Ok(()));
        turns.push_begun((GAS, &roof), 0);
        assert_eq!(all(&mut turns), [0, 4, 1, 2]);
    }
}
