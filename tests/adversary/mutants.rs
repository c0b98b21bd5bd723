//! Broken verifiers: with each absorb and each check left out in turn, something false is accepted, or a
//! challenge no longer depends on what it should.

use std::collections::{BTreeMap, BTreeSet};

use ark_bn254::{Fr, G1Affine};
use ark_ff::Field;
use ark_serialize::CanonicalSerialize;
use voxcheck::adversary::{Conditions, Site, Skip, TamperingProver};
use voxcheck::gkr::pcs::Hyrax;
use voxcheck::gkr::trace::Trace;
use voxcheck::sumcheck::channel::{ProverChannel, VerifierChannel};
use voxcheck::sumcheck::dense::{self, FactorClaims};
use voxcheck::sumcheck::error::{Check, Refusal, VerifyError};
use voxcheck::sumcheck::int::IntTable;
use voxcheck::sumcheck::transcript::Label;

use crate::common::{NAME, key};
use crate::harness::{Session, nothing, prove, verify};
use crate::{toy, voice};

/// The verifier's answer under some conditions.
type Answer<'a> = Box<dyn Fn(&Conditions) -> Result<(), VerifyError> + 'a>;

/// Something false.
pub struct Attack<'a> {
    pub name: String,
    pub answer: Answer<'a>,
}

impl<'a> Attack<'a> {
    pub fn new(name: impl Into<String>, answer: impl Fn(&Conditions) -> Result<(), VerifyError> + 'a) -> Self {
        Self { name: name.into(), answer: Box::new(answer) }
    }
}

/// A proof whose scalar `at` of message `label`, `index` is changed before it is absorbed.
fn tampered(session: &Session, label: Label, index: usize, edit: impl Fn(&mut Vec<Fr>) + Send + 'static) -> Vec<u8> {
    let adversary = move |site: Site<'_, Fr>| {
        if let Site::Scalars { label: l, index: i, values } = site
            && (l, i) == (label, index)
        {
            edit(values);
        }
    };
    session.prove(&Conditions::live(), adversary).bytes
}

/// Every scalar message with its first scalar one higher.
fn raised(session: &Session) -> Vec<Attack<'_>> {
    let scalars = session.honest.messages.iter().filter(|m| !crate::messages::is_points(m.label) && m.len > 0);
    scalars
        .map(|message| {
            let proof = tampered(session, message.label, message.index, |values| values[0] += Fr::ONE);
            Attack::new(format!("{} {} raised", message.label, message.index), move |c| session.verify(&proof, c))
        })
        .collect()
}

/// The children under the last layer, changed so that the layer holds: only the leaves are wrong.
fn leaves(session: &Session) -> Vec<Attack<'_>> {
    let last = session.honest.messages.iter().rfind(|m| m.label == Label::FractionChildren).unwrap().index;
    let lambda = session.honest.tape.challenges().filter(|(l, _)| *l == Label::FractionChallenge).last().unwrap().1;
    // (q₀ + λp₀)(q₁ + λp₁) − λ²p₀p₁ = q₀q₁ + λ(q₀p₁ + p₀q₁)
    let numerators = tampered(session, Label::FractionChildren, last, |c| {
        let [_, _, q0, q1] = c[..] else { unreachable!("four children") };
        c[0] += q0;
        c[1] -= q1;
    });
    let denominators = tampered(session, Label::FractionChildren, last, move |c| {
        let [p0, p1, q0, q1] = c[..] else { unreachable!("four children") };
        let sum = q0 * q1 + lambda * (q0 * p1 + p0 * q1);
        c[2] = q0 + Fr::ONE;
        c[3] = (sum - lambda * c[2] * p1) * (c[2] + lambda * p0).inverse().unwrap();
    });
    vec![
        Attack::new("numerators of leaves", move |c| session.verify(&numerators, c)),
        Attack::new("denominators of leaves", move |c| session.verify(&denominators, c)),
    ]
}

/// A masked blinding factor that is not the one of its message.
fn masked(session: &Session) -> Attack<'_> {
    // Two masked values of the first round, then its blinding factor.
    let proof = tampered(session, Label::Masked, 0, |values| values[2] += Fr::ONE);
    Attack::new("another blinding factor of a message", move |c| session.verify(&proof, c))
}

/// False traces, with everything else computed from them.
fn traces(session: &Session) -> Vec<Attack<'_>> {
    let mut out_of_range = session.trace.clone();
    let x = session.case.program.inputs()[0];
    let mut table = session.trace.get(x).clone();
    table.set(0, 0, 1 << 12);
    out_of_range.replace(x, table);
    let commitments = session.case.commitments::<Hyrax>(key(), &out_of_range);
    let proof = prove(&session.case, &out_of_range, &Conditions::live(), nothing).bytes;

    let mut attacks = Vec::new();
    if let Some(&output) = session.case.program.outputs().first() {
        let mut other: Trace = session.trace.clone();
        let mut table = session.trace.get(output).clone();
        table.set(0, 0, table.get(0, 0) + 1);
        let bytes: Vec<u8> = table.values().iter().flat_map(i128::to_le_bytes).collect();
        other.replace(output, table);
        let adversary = move |site: Site<'_, Fr>| {
            if let Site::Statement { label: Label::Statement, index: 0, bytes: absorbed } = site {
                absorbed.clone_from(&bytes);
            }
        };
        let proof = session.prove(&Conditions::live(), adversary).bytes;
        let commitments = session.case.commitments::<Hyrax>(key(), &session.trace);
        attacks.push(Attack::new("another output", move |c| verify(&session.case, &other, &commitments, &proof, c)));
    }
    attacks.push(Attack::new("a value out of range", move |c| {
        verify(&session.case, &out_of_range, &commitments, &proof, c)
    }));
    attacks
}

/// Lies about bytes, for a proof that ends in zeros and has a row of zeros.
fn bytes(session: &Session) -> Vec<Attack<'_>> {
    let honest = &session.honest.bytes;
    let shorter = honest[..honest.len() - 32].to_vec();
    assert!(honest.ends_with(&[0; 32]), "the opening ends in zeros");
    let longer = [&honest[..], &[0]].concat();
    let mut identity = Vec::new();
    G1Affine::identity().serialize_compressed(&mut identity).unwrap();
    let at = honest.chunks(32).position(|chunk| chunk == identity).expect("a row of zeros") * 32;
    let with_row = |row: [u8; 32]| {
        let mut proof = honest.clone();
        proof[at..at + 32].copy_from_slice(&row);
        proof
    };
    let mut other_identity = [0u8; 32];
    (other_identity[0], other_identity[31]) = (1, 0x40);
    let (no_point, other_form) = (with_row([0xff; 32]), with_row(other_identity));
    // Points are absorbed as they are written: a prover that writes them otherwise draws other challenges, and could
    // prove under those as well.
    let taped = |c: &Conditions| Conditions { tape: Some(session.honest.tape.clone()), ..c.clone() };
    vec![
        Attack::new("the last scalar missing", move |c| session.verify(&shorter, c)),
        Attack::new("a byte too many", move |c| session.verify(&longer, c)),
        Attack::new("a row that is no point", move |c| session.verify(&no_point, &taped(c))),
        Attack::new("another form of the identity", move |c| session.verify(&other_form, &taped(c))),
    ]
}

/// Statements of another shape, under the honest tape.
fn shapes(session: &Session) -> Vec<Attack<'_>> {
    let honest = session.case.commitments::<Hyrax>(key(), &session.trace);
    let mut longer = honest.clone();
    longer[0][0].rows.push(G1Affine::identity());
    let output = session.case.program.outputs()[0];
    let table = session.trace.get(output);
    let mut wider = session.trace.clone();
    let values: Vec<i128> = table.values().iter().chain(vec![7; table.cols()]).collect();
    wider.replace(output, IntTable::clone(&crate::common::table(table.rows() + 1, table.cols(), &values)));
    let taped = |c: &Conditions| Conditions { tape: Some(session.honest.tape.clone()), ..c.clone() };
    vec![
        Attack::new("a row too many", move |c| {
            verify(&session.case, &session.trace, &longer, &session.honest.bytes, &taped(c))
        }),
        Attack::new("a row of output too many", move |c| {
            verify(&session.case, &wider, &honest, &session.honest.bytes, &taped(c))
        }),
    ]
}

/// Protocols of one's own: a product of two polynomials with a false sum, and a check by name.
fn own_protocols() -> Vec<Attack<'static>> {
    let own = |check: Check| {
        move |conditions: &Conditions| {
            let factors = [[1u64, 2, 3, 4], [5, 6, 7, 8]].map(|t| dense::polynomial(t.map(Fr::from).to_vec()));
            let mut prover = TamperingProver::new(NAME, conditions, nothing);
            let _ = dense::prove_product(&mut prover, &factors);
            let (proof, ..) = prover.into_parts();
            let (mut verifier, _) = conditions.verifier(NAME, &proof);
            let claims: FactorClaims<Fr, Fr, 2> = dense::verify_product(&mut verifier, 2)?;
            verifier.require_zero(claims.sum - Fr::from(71u64), check)?;
            VerifierChannel::<Fr>::finish(verifier)
        }
    };
    vec![
        Attack::new("a false sum", own(Check::Sumcheck)),
        Attack::new("a check of one's own", own(Check::Other("own"))),
    ]
}

/// Whether every message that `session` absorbs changes all challenges after it.
fn every_message_binds(session: &Session, conditions: &Conditions) -> Result<(), String> {
    let honest = session.prove(conditions, nothing);
    for message in honest.messages.iter().filter(|m| m.len > 0) {
        let mut other = honest.bytes.clone();
        // Another element of the same kind, so that it can be decoded.
        if crate::messages::is_points_in(session.hiding, message.label) {
            let mut generator = Vec::new();
            ark_bn254::G1Affine::from(<ark_bn254::G1Projective as ark_ec::PrimeGroup>::generator())
                .serialize_compressed(&mut generator)
                .unwrap();
            other[message.start..message.start + 32].copy_from_slice(&generator);
        } else {
            other[message.start] ^= 1;
        }
        let (_, log) = session.probe(&other, conditions);
        let after = message.drawn;
        let pairs: Vec<_> = honest.tape.challenges().zip(log.tape.challenges()).collect();
        if pairs[..after].iter().any(|(a, b)| a != b) || pairs[after..].iter().any(|(a, b)| a == b) {
            return Err(format!("{} {} does not bind", message.label, message.index));
        }
    }
    Ok(())
}

/// Whether every public message that is absorbed must be the verifier's own.
fn every_statement_binds(session: &Session, conditions: &Conditions) -> Result<(), String> {
    let mut sites = BTreeSet::new();
    session.prove(conditions, |site: Site<'_, Fr>| {
        if let Site::Statement { label, index, .. } = site {
            sites.insert((label, index));
        }
    });
    for (label, index) in sites {
        let proof = session.prove(conditions, move |site: Site<'_, Fr>| {
            if let Site::Statement { label: l, index: i, bytes } = site
                && (l, i) == (label, index)
            {
                bytes.push(1);
            }
        });
        if session.verify(&proof.bytes, conditions).is_ok() {
            return Err(format!("{label} {index} does not bind"));
        }
    }
    Ok(())
}

/// A message of a protocol of one's own binds what follows it.
fn own_messages_bind(conditions: &Conditions) -> Result<(), String> {
    let drawn = |value: u64| {
        let mut prover = TamperingProver::new(NAME, conditions, nothing);
        prover.send(Label::UserMessage, &[Fr::from(value)]);
        prover.challenge(Label::UserChallenge)
    };
    if drawn(1) == drawn(2) { Err("a message of one's own does not bind".into()) } else { Ok(()) }
}

#[test]
fn every_mutant_of_the_verifier_is_killed() {
    let sessions: Vec<Session> = toy::all().into_iter().map(|(_, case)| Session::new(case)).collect();
    let hiding: Vec<Session> = toy::all().into_iter().map(|(_, case)| Session::hiding(case)).collect();
    let voice = voice::Voice::new();
    let mut attacks: Vec<Attack<'_>> = own_protocols();
    attacks.extend(hiding.iter().map(masked));
    for session in &sessions {
        attacks.extend(raised(session));
        attacks.extend(leaves(session));
        attacks.extend(traces(session));
    }
    let edges = &sessions[2];
    attacks.extend(bytes(edges));
    attacks.extend(shapes(edges));
    attacks.extend(voice.attacks());
    let binds = |conditions: &Conditions| -> Result<(), String> {
        for session in sessions.iter().chain(&hiding) {
            every_message_binds(session, conditions)?;
            every_statement_binds(session, conditions)?;
        }
        voice.every_statement_binds(conditions)?;
        own_messages_bind(conditions)
    };

    // The real verifier: nothing false is accepted, everything binds.
    let mut caught: BTreeMap<Refusal, Vec<&Attack<'_>>> = BTreeMap::new();
    for attack in &attacks {
        let answer = (attack.answer)(&Conditions::live());
        let error = answer.err().unwrap_or_else(|| panic!("{} is accepted", attack.name));
        caught.entry(error.refusal()).or_default().push(attack);
    }
    assert_eq!(binds(&Conditions::live()), Ok(()));

    let mut survivors = Vec::new();
    for skip in Skip::all() {
        let conditions = Conditions::without(skip);
        let killer = match skip {
            Skip::Absorb(_) => binds(&conditions).err(),
            Skip::Check(refusal) => {
                let attacks = caught.get(&refusal).map(Vec::as_slice).unwrap_or_default();
                attacks.iter().find(|attack| (attack.answer)(&conditions).is_ok()).map(|attack| attack.name.clone())
            }
        };
        println!("{:28} {}", skip.to_string(), killer.as_deref().unwrap_or("SURVIVES"));
        if killer.is_none() {
            survivors.push(skip);
        }
    }
    // Without a program there is nothing to go on with, and what the verifier puts together itself fits for
    // whatever statement and proof: both only stop it.
    let explained = [Skip::Check(Refusal::Program), Skip::Check(Refusal::Misfit)];
    assert_eq!(survivors, explained);
    assert!(survivors.len() * 20 <= Skip::all().len(), "fewer than 95 % are killed");
}
