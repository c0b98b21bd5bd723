//! The Gaussian error linear unit, for tables.

/// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`: the approximation that GPT-2 uses.
#[must_use]
pub fn gelu_tanh(x: f64) -> f64 {
    let inner = std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x);
    x / 2.0 * (1.0 + inner.tanh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_close_to_the_definition() {
        // x·Φ(x) with the normal distribution Φ at 0, 1 and 2, and far away.
        for (x, exact) in [(0.0, 0.0), (1.0, 0.841_344_7), (-1.0, -0.158_655_3), (2.0, 1.954_499_7), (-9.0, 0.0)] {
            assert!((gelu_tanh(x) - exact).abs() < 5e-4, "{x}");
        }
        assert_eq!(gelu_tanh(20.0), 20.0);
    }
}
