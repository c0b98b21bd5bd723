//! Error rates of scored trials.
//!
//! A trial is accepted if its score is at least the threshold. With `P` targets and `N`
//! non-targets, the miss rate is the share of targets below the threshold, the false-alarm rate the
//! share of non-targets not below it. The equal error rate is where the two cross, on the straight
//! line between the neighbouring operating points; the detection cost is
//! `(p·miss + (1 − p)·false alarm) / min(p, 1 − p)`, the costs of both errors being 1, at its
//! smallest over all thresholds.

/// A scored trial. A recording that cannot be scored is an error: −∞ for a target, +∞ otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Not a NaN.
    pub score: f64,
    /// Whether both recordings are of one speaker.
    pub target: bool,
}

/// What [`rates`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Equal error rate, 0 to 1.
    pub eer: f64,
    /// Smallest normalised detection cost.
    pub min_dcf: f64,
    /// The finite score nearest to the equal error rate, as a threshold.
    pub threshold: f64,
}

/// Prior of a target for the detection cost.
pub const PRIOR: f64 = 0.01;

/// Shares of wrong decisions at a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// Of non-targets that are accepted.
    pub false_accepts: f64,
    /// Of targets that are not.
    pub false_rejects: f64,
}

/// The errors at a threshold; a share of nothing is zero.
pub fn errors_at(trials: &[Trial], threshold: f64) -> Errors {
    let share = |target: bool, wrong: fn(f64, f64) -> bool| {
        let all = trials.iter().filter(|trial| trial.target == target);
        let (count, wrong) = all.fold((0usize, 0usize), |(count, found), trial| {
            (count + 1, found + usize::from(wrong(trial.score, threshold)))
        });
        wrong as f64 / count.max(1) as f64
    };
    Errors { false_accepts: share(false, |s, t| s >= t), false_rejects: share(true, |s, t| s < t) }
}

/// The smallest score at which, as a threshold, at most this share of the non-targets is accepted, or a value between the
/// largest score and one; `None` if recordings that failed are too many.
pub fn threshold_for(trials: &[Trial], false_accepts: f64) -> Option<f64> {
    let points = points(trials)?;
    let first = points.iter().position(|point| point.false_alarm <= false_accepts)?;
    let threshold = points[first].threshold;
    if threshold.is_finite() {
        return Some(threshold);
    }
    // Above every finite score: half way to one.
    let last = points[..first].iter().rev().map(|point| point.threshold).find(|t| t.is_finite())?;
    let above = (1.0 + last) / 2.0;
    (errors_at(trials, above).false_accepts <= false_accepts).then_some(above)
}

/// A threshold and its errors.
struct Point {
    threshold: f64,
    miss: f64,
    false_alarm: f64,
}

/// Operating points by ascending threshold: one for every distinct score, and one above all.
fn points(trials: &[Trial]) -> Option<Vec<Point>> {
    let targets = trials.iter().filter(|t| t.target).count();
    let others = trials.len() - targets;
    if targets == 0 || others == 0 {
        return None;
    }
    let mut sorted = trials.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let mut points = Vec::new();
    let (mut missed, mut alarms) = (0, others);
    let mut i = 0;
    while i < sorted.len() {
        let threshold = sorted[i].score;
        let rates = (missed as f64 / targets as f64, alarms as f64 / others as f64);
        points.push(Point { threshold, miss: rates.0, false_alarm: rates.1 });
        while i < sorted.len() && sorted[i].score.total_cmp(&threshold).is_eq() {
            if sorted[i].target {
                missed += 1
            } else {
                alarms -= 1
            }
            i += 1;
        }
    }
    points.push(Point { threshold: f64::INFINITY, miss: 1.0, false_alarm: 0.0 });
    Some(points)
}

/// Equal error rate, detection cost at the prior `prior`, and threshold; `None` unless there are
/// trials of both kinds.
pub fn rates(trials: &[Trial], prior: f64) -> Option<Rates> {
    let points = points(trials)?;
    let cost = |p: &Point| (prior * p.miss + (1.0 - prior) * p.false_alarm) / prior.min(1.0 - prior);
    let min_dcf = points.iter().map(cost).fold(f64::INFINITY, f64::min);
    // The miss rate rises from 0 and the false-alarm rate falls from 1, so they cross.
    let after = points.iter().position(|p| p.miss >= p.false_alarm)?;
    let (before, after) = (&points[after.saturating_sub(1)], &points[after]);
    let (gap, next) = (before.false_alarm - before.miss, after.miss - after.false_alarm);
    let share = if gap + next > 0.0 { gap / (gap + next) } else { 0.0 };
    let eer = before.miss + share * (after.miss - before.miss);
    let nearer = if next <= gap { [after, before] } else { [before, after] };
    let threshold = nearer.iter().map(|p| p.threshold).find(|t| t.is_finite()).unwrap_or(0.0);
    Some(Rates { eer, min_dcf, threshold })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(targets: &[f64], others: &[f64]) -> Vec<Trial> {
        let trial = |target| move |&score: &f64| Trial { score, target };
        targets.iter().map(trial(true)).chain(others.iter().map(trial(false))).collect()
    }

    #[test]
    fn separated_scores_have_no_errors() {
        let rates = rates(&trials(&[0.8, 0.9], &[0.1, 0.2, 0.3]), 0.01).unwrap();
        assert_eq!((rates.eer, rates.min_dcf, rates.threshold), (0.0, 0.0, 0.8));
    }

    #[test]
    fn one_swapped_pair_by_hand() {
        // Thresholds 1 2 3 4 5 6 7 8: others 1 2 3 5, targets 4 6 7 8. At 5: one of four targets
        // missed, one of four others accepted.
        let rates = rates(&trials(&[4.0, 6.0, 7.0, 8.0], &[1.0, 2.0, 3.0, 5.0]), 0.01).unwrap();
        assert_eq!((rates.eer, rates.threshold), (0.25, 5.0));
        // At 6: a quarter missed, no false alarm: 0.01·0.25/0.01.
        assert_eq!(rates.min_dcf, 0.25);
    }

    #[test]
    fn the_crossing_is_interpolated() {
        // Two targets 1 and 3, one other 2. (miss, false alarm): 1 → (0, 1), 2 → (1/2, 1),
        // 3 → (1/2, 0). Between the last two the false-alarm rate falls through the miss rate 1/2.
        let rates = rates(&trials(&[1.0, 3.0], &[2.0]), 0.5).unwrap();
        assert_eq!((rates.eer, rates.threshold), (0.5, 3.0));
        // Cost at 3 with equal priors: (1/2·1/2 + 0)/(1/2).
        assert_eq!(rates.min_dcf, 0.5);
    }

    #[test]
    fn equal_scores_are_one_operating_point() {
        // Everything at one score: accept all or none; the line between crosses at a half.
        let rates = rates(&trials(&[1.0, 1.0], &[1.0]), 0.01).unwrap();
        assert_eq!(rates.eer, 0.5);
        assert_eq!(rates.min_dcf, 1.0);
        assert_eq!(rates.threshold, 1.0);
    }

    #[test]
    fn failed_recordings_are_errors() {
        let good = trials(&[0.8, 0.9, 0.8, 0.9], &[0.1, 0.2, 0.3, 0.1]);
        assert_eq!(rates(&good, 0.01).unwrap().eer, 0.0);
        let mut failed = good;
        failed[0].score = f64::NEG_INFINITY;
        failed[4].score = f64::INFINITY;
        let rates = rates(&failed, 0.01).unwrap();
        assert_eq!(rates.eer, 0.25);
        assert!(rates.threshold.is_finite());
    }

    #[test]
    fn errors_are_counted_on_both_sides() {
        let trials = trials(&[0.4, 0.6, 0.7, 0.8], &[0.1, 0.2, 0.3, 0.5]);
        assert_eq!(errors_at(&trials, 0.5), Errors { false_accepts: 0.25, false_rejects: 0.25 });
        assert_eq!(errors_at(&trials, 0.0), Errors { false_accepts: 1.0, false_rejects: 0.0 });
        assert_eq!(errors_at(&trials, 1.0), Errors { false_accepts: 0.0, false_rejects: 1.0 });
        assert_eq!(threshold_for(&trials, 0.25), Some(0.4));
        assert_eq!(threshold_for(&trials, 0.0), Some(0.6));
        assert_eq!(threshold_for(&trials, 1.0), Some(0.1));
        for rate in [0.0, 0.1, 0.25, 0.3, 0.5, 0.9] {
            assert!(errors_at(&trials, threshold_for(&trials, rate).unwrap()).false_accepts <= rate);
        }
    }

    #[test]
    fn thresholds_above_all_scores_are_below_one() {
        assert_eq!(threshold_for(&trials(&[0.2], &[0.6]), 0.0), Some(0.8));
        // A recording that failed is accepted whatever the threshold.
        assert_eq!(threshold_for(&trials(&[0.2], &[0.6, f64::INFINITY]), 0.4), None);
        assert_eq!(threshold_for(&trials(&[0.2], &[0.6, f64::INFINITY]), 0.5), Some(0.8));
    }

    #[test]
    fn both_kinds_are_needed() {
        assert_eq!(rates(&trials(&[1.0], &[]), 0.01), None);
        assert_eq!(rates(&trials(&[], &[1.0]), 0.01), None);
        assert_eq!(rates(&[], 0.01), None);
    }
}
