//! From products of hidden scalars to linear equations, and from those to weights of message rows.
//!
//! The argument is in [the module above](super); prover and verifier are side by side here.

use ark_bn254::{Fr, G1Affine};
use ark_ff::{AdditiveGroup, Field};

use super::form::{Form, Hidden};
use super::prover::HidingProver;
use super::verifier::{HidingVerifier, Message, Replay};
use super::{ClearProver, ClearVerifier, MessageRow, Secret, Settled};
use crate::sumcheck::batch::{self, Instance};
use crate::sumcheck::channel::{ProverChannel, SecretChannel, VerifierChannel};
use crate::sumcheck::eq::{eq_eval, eq_prefix, eq_table};
use crate::sumcheck::error::{Check, StatementError, VerifyError};
use crate::sumcheck::kernels::Product;
use crate::sumcheck::transcript::Label;

/// Variables that number `count` products.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn num_vars(count: usize) -> usize {
    count.next_power_of_two().trailing_zeros() as usize
}

/// The prover's side up to the last challenge.
pub(super) fn prove<C: ClearProver + SecretChannel<Fr>>(channel: &mut HidingProver<'_, C>, products: &[[Form; 2]]) {
    if !products.is_empty() {
        let [mut left, mut right, mut outputs] = [const { Vec::new() }; 3];
        for [a, b] in products {
            // A factor may be the output of an earlier product.
            let (a, b) = (channel.evaluate(a, &outputs), channel.evaluate(b, &outputs));
            left.push(a);
            right.push(b);
            outputs.push(a * b);
        }
        let mask = channel.draw(2);
        left.push(mask[0]);
        right.push(mask[1]);
        outputs.push(mask[0] * mask[1]);
        channel.send(Label::ProductOutputs, &mask);
        channel.send(Label::ProductOutputs, &outputs);
        let vars = num_vars(outputs.len());
        let tau: Vec<Fr> = (0..vars).map(|_| channel.challenge(Label::ProductChallenge)).collect();
        // All of eq: cut off after the last product, its extension would be another.
        left.resize(1 << vars, Fr::ZERO);
        right.resize(1 << vars, Fr::ZERO);
        let mut instance = Product::new(vars, [eq_table(&tau), left, right]);
        let claim = instance.sum();
        batch::prove_sum(channel, 3, vars, &mut [&mut instance as &mut dyn Instance<Fr>], &[claim], &[Fr::ONE]);
        let [_, alpha, beta] = instance.values();
        channel.send_public(Label::ProductValues, &[alpha, beta]);
    }
    channel.challenge(Label::EquationChallenge);
}

/// The verifier's side: the equations about products, and all equations as one.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) fn verify<C: ClearVerifier>(
    channel: &mut HidingVerifier<C>,
    total: Form,
) -> Result<Settled<G1Affine>, VerifyError> {
    let mut products = std::mem::take(&mut channel.products);
    let mut first_output = 0;
    if !products.is_empty() {
        let [a, b] = channel.recv_array::<2>(Label::ProductOutputs)?;
        products.push([a, b]);
        first_output = channel.num_scalars;
        let outputs = channel.recv(Label::ProductOutputs, products.len())?;
        let vars = num_vars(products.len());
        let tau: Vec<Fr> = (0..vars).map(|_| channel.challenge(Label::ProductChallenge)).collect();
        let claim = weigh(outputs, &eq_prefix(&tau, products.len()));
        let (point, last) = batch::verify_sum(channel, 3, vars, claim)?;
        let [alpha, beta] = channel
            .recv_public(Label::ProductValues, 2)?
            .try_into()
            .map_err(|_| VerifyError::Truncated(Label::ProductValues))?;
        let eq = eq_prefix(&point, products.len());
        let (left, right): (Vec<Form>, Vec<Form>) = products.into_iter().map(|[a, b]| (a, b)).unzip();
        channel.require_zero(weigh(left, &eq) - Form::from(alpha), Check::Sumcheck)?;
        channel.require_zero(weigh(right, &eq) - Form::from(beta), Check::Sumcheck)?;
        channel.require_zero(last - Form::from(eq_eval(&tau, &point) * alpha * beta), Check::Sumcheck)?;
    }
    let eta = channel.challenge(Label::EquationChallenge);
    // Reading ends here if a message could not be read.
    channel.flush()?;
    let mut all = Collected::new(channel.num_scalars, first_output);
    all.add(&total, -Fr::ONE);
    let mut power = eta;
    for form in std::mem::take(&mut channel.zeros) {
        all.add(&form, power);
        power *= eta;
    }
    let rows = channel.take_messages()?.into_iter().map(|(Message { start, len, .. }, point)| {
        let range = start as usize..(start + len) as usize;
        let weights = all.weights.get(range).ok_or(StatementError::Misfit("a message has no scalars"))?;
        Ok(MessageRow { row: point, weights: weights.to_vec() })
    });
    let rows = rows.collect::<Result<_, VerifyError>>()?;
    Ok(Settled { total: -all.constant, rows })
}

/// `Σ weightᵢ·formᵢ`.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn weigh(forms: Vec<Form>, weights: &[Fr]) -> Form {
    let mut sum = Form::default();
    for (form, &weight) in forms.into_iter().zip(weights) {
        sum = sum + form * weight;
    }
    sum
}

/// A sum of forms, by scalar.
struct Collected {
    constant: Fr,
    weights: Vec<Fr>,
    first_output: u32,
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl Collected {
    fn new(num_scalars: u32, first_output: u32) -> Self {
        Self { constant: Fr::ZERO, weights: vec![Fr::ZERO; num_scalars as usize], first_output }
    }

    fn add(&mut self, form: &Form, factor: Fr) {
        self.constant += form.constant * factor;
        for &(hidden, coefficient) in &form.terms {
            let place = match hidden {
                Hidden::Sent(k) => k,
                Hidden::Product(p) => self.first_output + p,
            };
            if let Some(weight) = self.weights.get_mut(place as usize) {
                *weight += coefficient * factor;
            }
        }
    }
}

/// What the verifier comes to, with the prover's rows in place of commitments.
pub(super) fn replay(replay: &mut HidingVerifier<Replay>, total: Form, secrets: Vec<Secret>) -> Settled<Secret> {
    let Settled { total, rows } = verify(replay, total).expect("a replay reads what was recorded");
    assert_eq!(rows.len(), secrets.len(), "prover and verifier count the same messages");
    let rows = rows.into_iter().zip(secrets).map(|(MessageRow { weights, .. }, row)| MessageRow { row, weights });
    Settled { total, rows: rows.collect() }
}
