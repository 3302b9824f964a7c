//! What a row's samples come to.

/// The value below which a share of the samples lies (0.5: the median), by nearest rank; `None` without samples.
pub fn quantile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied()
}

/// The median.
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// Least and most.
pub fn spread(samples: &[f64]) -> Option<(f64, f64)> {
    Some((quantile(samples, 0.0)?, quantile(samples, 1.0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&samples), Some(3.0));
        assert_eq!(quantile(&samples, 0.99), Some(5.0));
        assert_eq!(spread(&samples), Some((1.0, 5.0)));
        assert_eq!(median(&[]), None);
    }
}
