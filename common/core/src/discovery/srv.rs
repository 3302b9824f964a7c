//! The order in which SRV targets are tried: RFC 2782, "Usage rules".

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvTarget {
    /// Lower is tried first.
    pub priority: u16,
    /// Share among the targets of one priority.
    pub weight: u16,
    /// Port of the service.
    pub port: u16,
    /// DNS name in lower case, without a trailing dot.
    pub host: String,
}

/// Orders targets by priority and, within one priority, by a weighted draw. `draw(most)` gives a number in `0..=most`,
/// evenly spread; it is a parameter so that the order can be tested.
pub fn order(mut targets: Vec<SrvTarget>, mut draw: impl FnMut(u32) -> u32) -> Vec<SrvTarget> {
    // Targets of weight 0 come first within a priority, so that they have a small chance only (RFC 2782).
    targets.sort_by_key(|target| (target.priority, target.weight > 0));
    let mut ordered = Vec::with_capacity(targets.len());
    while let Some(first) = targets.first() {
        let priority = first.priority;
        let group = targets.iter().take_while(|target| target.priority == priority).count();
        let total: u32 = targets[..group].iter().map(|target| u32::from(target.weight)).sum();
        let drawn = draw(total).min(total);
        let mut running = 0;
        let index = targets[..group].iter().position(|target| {
            running += u32::from(target.weight);
            running >= drawn
        });
        ordered.push(targets.remove(index.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(priority: u16, weight: u16, host: &str) -> SrvTarget {
        SrvTarget { priority, weight, port: 389, host: host.into() }
    }

    fn hosts(targets: &[SrvTarget]) -> Vec<&str> {
        targets.iter().map(|target| target.host.as_str()).collect()
    }

    #[test]
    fn priority_goes_before_weight() {
        let targets = vec![target(10, 100, "late"), target(0, 0, "early"), target(5, 1, "middle")];
        assert_eq!(hosts(&order(targets, |most| most)), ["early", "middle", "late"]);
    }

    #[test]
    fn the_draw_decides_within_a_priority() {
        let targets = || vec![target(0, 10, "a"), target(0, 30, "b"), target(0, 60, "c")];
        let first = |drawn: u32| order(targets(), |_| drawn)[0].host.clone();
        assert_eq!((first(0), first(10), first(11)), ("a".into(), "a".into(), "b".into()));
        assert_eq!((first(40), first(41), first(100)), ("b".into(), "c".into(), "c".into()));
    }

    #[test]
    fn weight_zero_is_chosen_only_by_a_zero() {
        let targets = || vec![target(0, 10, "heavy"), target(0, 0, "light")];
        assert_eq!(hosts(&order(targets(), |_| 0)), ["light", "heavy"]);
        assert_eq!(hosts(&order(targets(), |_| 1)), ["heavy", "light"]);
    }

    #[test]
    fn shares_follow_the_weights() {
        let mut state = 1_u64;
        let mut draw = |most: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as u32) % (most + 1)
        };
        let heavy = (0..10_000)
            .filter(|_| order(vec![target(0, 25, "a"), target(0, 75, "b")], &mut draw)[0].host == "b")
            .count();
        assert!((7_000..8_000).contains(&heavy), "{heavy}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_priorities_never_fall(
            records in prop::collection::vec((0_u16..4, any::<u16>()), 0..12),
            seed in any::<u32>(),
        ) {
            let targets: Vec<_> = records
                .iter()
                .enumerate()
                .map(|(index, (priority, weight))| target(*priority, *weight, &index.to_string()))
                .collect();
            let ordered = order(targets.clone(), |most| seed % (most + 1));
            prop_assert!(ordered.windows(2).all(|pair| pair[0].priority <= pair[1].priority));
            let (mut before, mut after) = (hosts(&targets), hosts(&ordered));
            before.sort_unstable();
            after.sort_unstable();
            prop_assert_eq!(before, after);
        }
    }
}
