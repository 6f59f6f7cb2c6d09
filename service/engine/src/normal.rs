//! Standard normal draws: Box-Muller over Philox, with a logarithm, sine and cosine of our own.
//!
//! Only `+ - * / sqrt` and integer operations are used, without a branch: the bits are the same on every machine,
//! and LLVM turns the loop of [`fill`] into vector code. The functions stay within 4 ulp of the true values on the
//! ranges that [`fill`] uses. Uniforms have 52 bits, so that no draw is further out than 8.5.

use crate::philox::philox;

/// Samples that are drawn together: small enough for a model's columns to stay in the first-level cache.
pub(crate) const BLOCK: usize = 256;
const PAIRS: usize = BLOCK / 2;

/// One column of a block: a node's value in each of its samples.
pub(crate) type Column = [f64; BLOCK];

/// Names one column of draws; equal streams hold equal numbers, whatever else is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) seed: u64,
    pub(crate) arm: u32,
    pub(crate) block: u32,
    pub(crate) node: u32,
}

const ONE: u64 = 0x3FF0_0000_0000_0000;
const TOP: u64 = 1 << 63;

/// Fills a column with independent standard normals. Sample `i` and `i + BLOCK / 2` share a counter.
pub(crate) fn fill(stream: Stream, column: &mut Column) {
    let (cosines, sines) = column.split_at_mut(PAIRS);
    for (i, (x, y)) in cosines.iter_mut().zip(sines).enumerate() {
        let [radius_bits, angle_bits] =
            philox([i as u32, stream.block, stream.node, stream.arm], stream.seed);
        let radius = (-2.0 * ln(2.0 - f64::from_bits(ONE | radius_bits >> 12))).sqrt();
        let (sin, cos) = sin_cos(angle_bits);
        *x = radius * cos;
        *y = radius * sin;
    }
}

/// A polynomial by Horner's rule, from the constant term up.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: [f64; N], z: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * z + c)
}

/// Natural logarithm of a positive, normal number.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const ROOT_HALF: u64 = 0x3FE6_A09E_0000_0000;
    // 2^52 in the exponent turns an integer's bits into that integer, without a conversion instruction.
    const INTEGER: u64 = 0x4330_0000_0000_0000;
    // (atanh(s) / s - 1) / s^2 as a polynomial in s^2, fitted at Chebyshev nodes for s^2 <= 0.02945.
    const ATANH: [f64; 7] = [
        0.3333333333333335,
        0.19999999999949752,
        0.14285714312987743,
        0.1111110556739754,
        0.09091444562630861,
        0.07665860800278021,
        0.07308224842521703,
    ];
    // x = m * 2^k with m in [sqrt(1/2), sqrt(2)), so that ln m is small and nothing cancels near x = 1.
    let shifted = x.to_bits().wrapping_add(ONE - ROOT_HALF);
    let k = f64::from_bits(INTEGER | shifted >> 52) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((shifted & (u64::MAX >> 12)) + ROOT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    k * std::f64::consts::LN_2 + 2.0 * (s + s * (z * polynomial(ATANH, z)))
}

/// Sine and cosine of a uniformly distributed angle: the top two bits are its quadrant, the next 52 its place there.
#[inline(always)]
fn sin_cos(bits: u64) -> (f64, f64) {
    // sin(pi r / 2) / r and (cos(pi r / 2) - 1) / r^2 as polynomials in r^2, fitted at Chebyshev nodes for |r| <= 1/2.
    const SIN: [f64; 7] = [
        std::f64::consts::FRAC_PI_2,
        -0.6459640975062443,
        0.07969262624604301,
        -0.004681754132340976,
        0.0001604411507421909,
        -3.59864335298231e-06,
        5.633933781537854e-08,
    ];
    const COS: [f64; 7] = [
        -1.2337005501361697,
        0.2536695079010478,
        -0.020863480763340773,
        0.0009192602745468447,
        -2.5202039028029178e-05,
        4.710678405505227e-07,
        -6.329396344967424e-09,
    ];
    let r = f64::from_bits(ONE | (bits << 2) >> 12) - 1.5;
    let z = r * r;
    let sin = (r * polynomial(SIN, z)).to_bits();
    let cos = (1.0 + z * polynomial(COS, z)).to_bits();
    // A quarter turn swaps the two; the signs follow from the quadrant's two bits.
    let swap = 0_u64.wrapping_sub((bits >> 62) & 1) & (sin ^ cos);
    let (sin, cos) = (sin ^ swap ^ (bits & TOP), cos ^ swap ^ ((bits ^ bits << 1) & TOP));
    (f64::from_bits(sin), f64::from_bits(cos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    /// Random bits of a fixed key.
    fn bits() -> impl Iterator<Item = [u64; 2]> {
        (0..100_000).map(|i| philox([i, 7, 7, 7], 1))
    }

    fn draws() -> Vec<f64> {
        let mut column = [0.0; BLOCK];
        let mut draws = Vec::new();
        for block in 0..4_000 {
            fill(Stream { seed: 3, arm: 0, block, node: 1 }, &mut column);
            draws.extend_from_slice(&column);
        }
        draws
    }

    #[test]
    fn the_logarithm_is_within_4_ulp() {
        let smallest = f64::EPSILON;
        let near_one = (1..1_000).map(|i| 1.0 - f64::from(i) * f64::EPSILON);
        let uniform = bits().map(|[a, _]| 2.0 - f64::from_bits(ONE | a >> 12));
        let tiny = bits().map(|[a, b]| f64::EPSILON.max((a as f64 * b as f64) * 2f64.powi(-128)));
        for x in near_one.chain(uniform).chain(tiny).chain([smallest, 0.5, std::f64::consts::FRAC_1_SQRT_2]) {
            assert!(ulps(ln(x), x.ln()) <= 4, "ln {x:e}: {:e} for {:e}", ln(x), x.ln());
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn sine_and_cosine_are_within_4_ulp_of_their_larger_part() {
        for [a, _] in bits().chain([0, 1, 1 << 62, TOP, u64::MAX].map(|a| [a, a])) {
            let (sin, cos) = sin_cos(a);
            // The reference reduces exactly as well: the quadrant stays an integer.
            let r = f64::from_bits(ONE | (a << 2) >> 12) - 1.5;
            let (s, c) = (r * std::f64::consts::FRAC_PI_2).sin_cos();
            let (s, c) = [(s, c), (c, -s), (-s, -c), (-c, s)][(a >> 62) as usize];
            assert!((sin - s).abs() <= 4.0 * f64::EPSILON / 2.0, "sin {a:x}: {sin:e} for {s:e}");
            assert!((cos - c).abs() <= 4.0 * f64::EPSILON / 2.0, "cos {a:x}: {cos:e} for {c:e}");
        }
    }

    #[test]
    fn the_moments_are_those_of_a_standard_normal() {
        let draws = draws();
        let n = draws.len() as f64;
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / n;
        // True moments, and the variance of a single draw's k-th power.
        for (k, truth, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)]
        {
            let error = moment(k) - truth;
            assert!(error.abs() < 4.0 * (variance / n).sqrt(), "moment {k} is off by {error}");
        }
    }

    #[test]
    fn the_tails_hold_what_a_normal_has() {
        let draws = draws();
        for (bound, share) in [(1.0, 0.317_310_507_863), (2.0, 0.045_500_263_896), (3.0, 0.002_699_796_063)] {
            let n = draws.len() as f64;
            let seen = draws.iter().filter(|x| x.abs() > bound).count() as f64 / n;
            let error = (seen - share).abs();
            assert!(error < 4.0 * (share * (1.0 - share) / n).sqrt(), "beyond {bound}: {seen} for {share}");
        }
    }

    #[test]
    fn halves_of_a_pair_and_neighbouring_streams_are_uncorrelated() {
        let n = 4_000 * PAIRS;
        let (mut halves, mut nodes, mut arms) = (0.0, 0.0, 0.0);
        for block in 0..4_000 {
            let mut columns = [[0.0; BLOCK]; 3];
            for (column, (node, arm)) in columns.iter_mut().zip([(1, 0), (2, 0), (1, 1)]) {
                fill(Stream { seed: 3, arm, block, node }, column);
            }
            let [here, node, arm] = columns;
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
            halves += dot(&here[..PAIRS], &here[PAIRS..]);
            nodes += dot(&here[..PAIRS], &node[..PAIRS]);
            arms += dot(&here[..PAIRS], &arm[..PAIRS]);
        }
        for (what, sum) in [("halves", halves), ("nodes", nodes), ("arms", arms)] {
            assert!((sum / n as f64).abs() < 4.0 / (n as f64).sqrt(), "{what}: {}", sum / n as f64);
        }
    }

    #[test]
    fn the_extreme_bits_give_finite_draws() {
        let widest = (-2.0 * ln(f64::EPSILON)).sqrt();
        assert!(widest > 8.4 && widest < 8.5);
        assert_eq!((-2.0 * ln(1.0)).sqrt(), 0.0);
    }
}
