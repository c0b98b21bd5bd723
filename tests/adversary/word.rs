//! Statements about what was said: a model that gives a class, and no voice.

use ark_bn254::Fr;
use voxcheck::adversary::{Conditions, Forged, Parts, Site};
use voxcheck::audio::FrontEnd;
use voxcheck::audio::wav::Wav;
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Network, Node, NodeRef, Op};
use voxcheck::proof::ProveOptions;
use voxcheck::statement::Proof;
use voxcheck::sumcheck::error::{Refusal, StatementError, VerifyError};
use voxcheck::{Context, Model, ProvingKey, Verdict, VerifyingKey, setup};

use crate::harness::nothing;
use crate::mutants::Attack;
use crate::voice::wav;

/// Samples of a window.
const WINDOW: usize = 2_000;
/// Where the honest window starts.
const START: u32 = 4_003;

/// A model of four classes, the second and third of them alike, and a short synthetic recording.
pub struct Word {
    pk: ProvingKey,
    vk: VerifyingKey,
    wav: Wav,
    context: Context,
    /// The class of the window at `START`.
    class: u32,
}

/// The mean of ten coefficients over the frames of a window, then `weight`, with a column for each class.
fn model(labels: &[&str], weight: impl Fn(usize, usize) -> f64) -> Model {
    let node = |name: &str, op, input| Node { name: name.into(), op, inputs: vec![input] };
    let classes = labels.len();
    let dense = Op::Dense { weight: FloatMatrix::from_fn(10, classes, weight), bias: vec![0.0; classes] };
    let nodes = vec![node("mean", Op::MeanPool, NodeRef::Input), node("logits", dense, NodeRef::Node(0))];
    let network = Model::from_network(Network::new(10, nodes), "word").front_end(FrontEnd::kws10()).window(WINDOW);
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    network.labels(labels).bits(12).calibrate(&[wav(0).samples, wav(3).samples]).unwrap()
}

impl Word {
    pub fn new() -> Self {
        // The first class has the opposite sign of the two that are alike, the last one is never the largest.
        let weight = |row: usize, class: usize| [-1.0, 1.0, 1.0, 0.0][class] * (row as f64 - 3.5);
        let (pk, vk) = setup(&model(&["stop", "go", "went", "never"], weight)).unwrap();
        let (wav, context) = (wav(3), Context::new(*b"context"));
        let class = pk.model().read_windows(&wav.samples, &[START]).unwrap()[0].class;
        assert!(class < 2, "a tie has the class of the first");
        Self { pk, vk, wav, context, class }
    }

    /// A proof that claims these readings, whatever the recording says.
    fn claim(&self, readings: &[(u32, u32)], edit: impl FnOnce(&mut Parts)) -> Forged {
        self.pk.claim_readings(&self.wav, &self.context, readings, &Conditions::live(), edit, nothing).unwrap()
    }

    fn honest(&self) -> Forged {
        self.claim(&[(self.class, START)], |_| ())
    }

    /// Lies that only the checks of a statement without a template catch.
    pub fn attacks(&self) -> Vec<Attack<'_>> {
        let honest = [(self.class, START)];
        let last = (self.wav.samples.len() - WINDOW) as u32 + 1;
        // What is beyond the recording is zero in the program, so a window there has a class of its own.
        let beyond = (0..4).map(|class| self.claim(&[(class, last)], |_| ()).proof);
        let mut lies: Vec<(&str, Proof)> = beyond.map(|proof| ("a window beyond the end", proof)).collect();
        lies.push(("a rejection of no voice", self.claim(&honest, |p| p.accept = false).proof));
        lies.push(("a reading too many", self.claim(&honest, |p| p.readings.push((0, 0))).proof));
        lies.into_iter().map(|(name, proof)| Attack::new(name, move |c| self.verify(&proof, c).map(|_| ()))).collect()
    }

    fn verify(&self, proof: &Proof, conditions: &Conditions) -> Result<Verdict, VerifyError> {
        self.vk.verify_under(proof.statement(), proof, conditions)
    }
}

#[test]
fn an_adversary_who_does_nothing_proves_what_was_said() {
    let word = Word::new();
    let windows = [START];
    let options = ProveOptions { windows: &windows, mode: voxcheck::proof::Mode::Clear, ..ProveOptions::default() };
    let (proof, report) = word.pk.prove_readings(&word.wav, &word.context, &options).unwrap();
    assert_eq!(proof, word.honest().proof);
    assert_eq!((report.score, report.readings.len()), (None, 1));
    assert_eq!(word.verify(&proof, &Conditions::live()), Ok(Verdict::Accept));
}

/// Everything but the class is true, and everything is computed, committed and counted for it.
#[test]
fn no_other_class_is_proved_not_even_of_a_tie() {
    let word = Word::new();
    for start in [START, 0, 64, (word.wav.samples.len() - WINDOW) as u32] {
        let true_class = word.pk.model().read_windows(&word.wav.samples, &[start]).unwrap()[0].class;
        for class in 0..4 {
            let answer = word.verify(&word.claim(&[(class, start)], |_| ()).proof, &Conditions::live());
            if class == true_class {
                assert_eq!(answer, Ok(Verdict::Accept));
            } else {
                let refusal = answer.expect_err("another class").refusal();
                assert_eq!(refusal, Refusal::RootNumerator, "class {class} at {start}");
            }
        }
    }
}

/// The logits are right, and what shows the class is not: whatever stands in the limbs of the differences.
#[test]
fn limbs_of_a_false_difference_have_no_way_out() {
    let word = Word::new();
    let other = 1 - word.class;
    for value in [0, 1, 0xffff, 1 << 16, -1] {
        let lie = |site: Site<'_, Fr>| {
            if let Site::Table { name, table } = site
                && name.contains("class: above")
                && name.contains("limbs")
            {
                let size = table.rows() * table.cols();
                *table = crate::common::table(table.rows(), table.cols(), &vec![value; size]);
            }
        };
        let readings = [(other, START)];
        let forged = word.pk.claim_readings(&word.wav, &word.context, &readings, &Conditions::live(), |_| (), lie);
        let proof = forged.unwrap().proof;
        assert!(word.verify(&proof, &Conditions::live()).is_err(), "{value}");
    }
}

/// The argument for the true statement under a changed one.
#[test]
fn no_other_reading_has_the_same_argument() {
    type Edit = (&'static str, fn(&mut Parts), Option<StatementError>);
    let edits: [Edit; 9] = [
        ("the class of a tie", |p| p.readings[0].0 += 1, None),
        ("the next sample", |p| p.readings[0].1 += 1, None),
        ("the sample before", |p| p.readings[0].1 -= 1, None),
        ("no reading", |p| p.readings.clear(), Some(StatementError::Readings)),
        ("two readings", |p| p.readings.push(p.readings[0]), Some(StatementError::Readings)),
        ("no such class", |p| p.readings[0].0 = 4, Some(StatementError::Class)),
        ("a window beyond the end", |p| p.readings[0].1 = 10_001, Some(StatementError::Window)),
        ("a window far away", |p| p.readings[0].1 = u32::MAX, Some(StatementError::Window)),
        ("a rejection", |p| p.accept = false, Some(StatementError::Template)),
    ];
    let word = Word::new();
    for (name, edit, refusal) in edits {
        let live = Conditions::live();
        let honest = word.honest();
        let mut parts = honest.proof.statement().parts();
        edit(&mut parts);
        let statement = voxcheck::statement::Statement::from_parts(parts).unwrap();
        let carried = Proof::from_parts(statement, honest.proof.argument().to_vec());
        let error = word.verify(&carried, &live).expect_err(name);
        if let Some(refusal) = refusal {
            assert_eq!(error, VerifyError::Statement(refusal), "{name}");
        }
    }
}

/// A statement about a voice has a template, and one about none has neither template, score nor embedding.
#[test]
fn nothing_takes_the_place_of_a_template() {
    let word = Word::new();
    let honest = word.honest().proof;
    assert_eq!(word.verify(&honest, &Conditions::live()), Ok(Verdict::Accept));
    let refused = |edit: fn(&mut Parts)| {
        let mut parts = honest.statement().parts();
        edit(&mut parts);
        let statement = voxcheck::statement::Statement::from_parts(parts).unwrap();
        let carried = Proof::from_parts(statement, honest.argument().to_vec());
        word.verify(&carried, &Conditions::live()).expect_err("nothing is compared")
    };
    let template = VerifyError::Statement(StatementError::Template);
    assert_eq!(refused(|p| p.score = Some(1 << 14)), template);
    assert_eq!(refused(|p| p.embedding = Some(vec![1, 2, 3])), template);
    assert_eq!(refused(|p| (p.template, p.template_model) = (true, p.model)), template);
}
