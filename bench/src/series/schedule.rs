use rand::SeedableRng;
use rand::seq::SliceRandom;

use crate::statistics::Random;

/// In which order contenders take their turns.
///
/// Each round has all of them once. Every other round is in an order drawn by chance, and the one
/// after it is the same order backwards (ABCCBA): what grows or shrinks steadily over the two adds
/// the same to each, and nothing always follows the same neighbour.
#[derive(Debug)]
pub struct Schedule {
    random: Random,
    order: Vec<usize>,
    is_backwards: bool,
}

impl Schedule {
    /// For `count` contenders; the same seed gives the same orders.
    pub fn new(seed: u64, count: usize) -> Self {
        Self {
            random: Random::seed_from_u64(seed),
            order: (0..count).collect(),
            is_backwards: true,
        }
    }
}

/// Never ends.
impl Iterator for Schedule {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        self.is_backwards = !self.is_backwards;
        if self.is_backwards {
            self.order.reverse();
        } else {
            self.order.shuffle(&mut self.random);
        }
        Some(self.order.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_round_has_all_and_every_other_one_is_the_one_before_backwards() {
        let rounds: Vec<_> = Schedule::new(5, 4).take(20).collect();
        for two in rounds.chunks(2) {
            let mut sorted = two[0].clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            let backwards: Vec<_> = two[1].iter().rev().copied().collect();
            assert_eq!(two[0], backwards);
        }
    }

    #[test]
    fn orders_are_drawn_by_chance_from_the_seed() {
        let rounds = |seed| Schedule::new(seed, 3).take(40).collect::<Vec<_>>();
        assert_eq!(rounds(1), rounds(1));
        assert_ne!(rounds(1), rounds(2));
        // All 3! of them turn up.
        assert_eq!(rounds(1).into_iter().collect::<HashSet<_>>().len(), 6);
    }
}
