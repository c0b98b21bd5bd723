//! Who has what: private weights, enrolments that are proved, recordings that are replayed or attested.

use std::path::Path;
use std::sync::OnceLock;

use voxcheck::audio::wav::{self, Wav};
use voxcheck::proof::{
    EnrolOptions, Enrolment, Expected, KeySecret, Mode, ProveError, ProveOptions, Template, TemplateSecret,
};
use voxcheck::revocation::RevocationList;
use voxcheck::{Context, Model, ProvingKey, Verdict, VerifyingKey, setup, setup_private};

/// The first second and a half of a bundled recording.
fn short(name: &str) -> Wav {
    let mut wav = wav::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)).unwrap();
    wav.samples.truncate(24_000);
    wav
}

fn keys() -> &'static (ProvingKey, VerifyingKey) {
    static KEYS: OnceLock<(ProvingKey, VerifyingKey)> = OnceLock::new();
    KEYS.get_or_init(|| setup(&Model::bundled().unwrap()).unwrap())
}

fn private() -> &'static (ProvingKey, VerifyingKey, KeySecret) {
    static KEYS: OnceLock<(ProvingKey, VerifyingKey, KeySecret)> = OnceLock::new();
    KEYS.get_or_init(|| setup_private(&Model::bundled().unwrap()).unwrap())
}

fn mismatch<T>(result: Result<T, ProveError>) -> String {
    match result {
        Err(ProveError::Mismatch(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn private_weights_are_proved_with_and_verified_without() {
    let (pk, vk, secret) = private();
    assert!(vk.hides_weights() && !keys().1.hides_weights());
    let template = pk.enrol(&[short("slt_1.wav"), short("slt_2.wav")], 0.66).unwrap();
    let read = VerifyingKey::from_bytes(&vk.to_bytes()).unwrap();
    assert!(read.hides_weights());
    let again = ProvingKey::private(pk.model(), &read, secret).unwrap();
    for (pk, vk, name, verdict) in
        [(pk, &read, "slt_3.wav", Verdict::Accept), (&again, vk, "rms_1.wav", Verdict::Reject)]
    {
        let (statement, proof) = pk.prove(&short(name), &template, &Context::new(*b"nonce")).unwrap();
        assert_eq!(statement.model_id(), vk.model_id());
        assert_eq!(vk.verify(&statement, &proof), Ok(verdict));
        // It is no proof about the public model, whose weights are the same.
        assert!(keys().1.verify(&statement, &proof).is_err());
    }
    let options = ProveOptions { mode: Mode::Clear, ..ProveOptions::default() };
    let context = Context::default();
    let clear = pk.prove_with(&short("slt_3.wav"), &template.0, &template.1, &context, &options);
    assert!(mismatch(clear).contains("private"));
    // The template of one key is none of another's.
    assert!(mismatch(keys().0.prove(&short("slt_3.wav"), &template, &context)).contains("another model"));
}

#[test]
fn keys_of_one_model_have_nothing_in_common() {
    let (pk, first, secret) = private();
    let (_, second, other) = setup_private(pk.model()).unwrap();
    let public = &keys().1;
    let ids = [first.model_id(), second.model_id(), public.model_id()];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    // 32 bytes in a row: a point or a scalar.
    let chunks = |key: &VerifyingKey| -> std::collections::HashSet<Vec<u8>> {
        key.to_bytes()[4_000..].windows(32).map(<[u8]>::to_vec).collect()
    };
    let shared = |a: &VerifyingKey, b: &VerifyingKey| chunks(a).intersection(&chunks(b)).count();
    assert_eq!(shared(first, first), chunks(first).len());
    assert_eq!(shared(first, &second), shared(first, public));
    assert!(mismatch(ProvingKey::private(pk.model(), first, &other)).contains("another key"));
    assert!(mismatch(ProvingKey::private(pk.model(), public, secret)).contains("hides nothing"));
    let ecapa = Model::built_in("ecapa-small").unwrap().unwrap();
    assert!(ProvingKey::private(&ecapa, first, secret).is_err());
}

fn named() -> &'static (Template, TemplateSecret, Enrolment) {
    static NAMED: OnceLock<(Template, TemplateSecret, Enrolment)> = OnceLock::new();
    NAMED.get_or_init(|| {
        let wavs = [short("slt_1.wav"), short("slt_2.wav")];
        let options = EnrolOptions { threshold: 0.6, label: "slt", refuse_replays: true, ..EnrolOptions::default() };
        let (template, secret) = keys().0.enrol_with(&wavs, &options).unwrap();
        let enrolment = keys().0.prove_enrolment(&wavs, &template, &secret).unwrap();
        (template, secret, enrolment)
    })
}

#[test]
fn an_enrolment_is_proved() {
    let (pk, vk) = keys();
    let (template, secret, enrolment) = named();
    assert_eq!((template.label(), template.recordings().len(), template.refuses_replays()), ("slt", 2, true));
    let read = Enrolment::from_bytes(&enrolment.to_bytes()).unwrap();
    assert_eq!(&read, enrolment);
    assert_eq!(vk.verify_enrolment(&Template::from_bytes(&template.to_bytes()).unwrap(), &read), Ok(()));
    // It is that of one template, and a refreshed one is another.
    let (other, other_secret) = pk.refresh(template, secret, Some("Alice")).unwrap();
    assert_eq!((other.label(), other.recordings().len()), ("Alice", 2));
    assert!(vk.verify_enrolment(&other, enrolment).is_err());
    let rows = |template: &Template| template.recordings().iter().map(|r| r.to_bytes()).collect::<Vec<_>>();
    assert!(rows(&other).iter().all(|row| !rows(template).contains(row)));
    let wavs = [short("slt_1.wav"), short("slt_2.wav")];
    let again = pk.prove_enrolment(&wavs, &other, &other_secret).unwrap();
    assert_eq!(vk.verify_enrolment(&other, &again), Ok(()));
    assert!(private().1.verify_enrolment(template, enrolment).is_err());
    // Other recordings, in another order, or of another template.
    let swapped = [wavs[1].clone(), wavs[0].clone()];
    for wavs in [&swapped[..], &wavs[..1], &[short("slt_1.wav"), short("slt_3.wav")]] {
        mismatch(pk.prove_enrolment(wavs, template, secret));
    }
    let plain = pk.enrol(&wavs, 0.6).unwrap();
    assert!(mismatch(pk.prove_enrolment(&wavs, &plain.0, &plain.1)).contains("names no recordings"));
    // With or without names, the voice is the same.
    let (statement, _) = pk.prove(&short("slt_3.wav"), &plain, &Context::default()).unwrap();
    assert_eq!(statement.verdict(), Verdict::Accept);
}

#[test]
fn an_enrolled_recording_is_no_probe() {
    let (pk, vk) = keys();
    let (template, secret, _) = named();
    let template = (template.clone(), secret.clone());
    let context = Context::new(*b"nonce");
    assert!(mismatch(pk.prove(&short("slt_2.wav"), &template, &context)).contains("enrolled"));
    let expected = Expected { no_replays: true, ..Expected::new(&template.0, &context) };
    let mut changed = short("slt_2.wav");
    changed.samples[23_999] ^= 1;
    let mut longer = short("slt_2.wav");
    longer.samples.push(0);
    for wav in [short("slt_3.wav"), changed, longer] {
        let (statement, proof) = pk.prove(&wav, &template, &context).unwrap();
        assert_eq!(vk.check_statement(&statement, &expected), Ok(()));
        assert_eq!(vk.verify(&statement, &proof), Ok(Verdict::Accept));
    }
    // A verifier who wants such a template is not content with another.
    let plain = pk.enrol(&[short("slt_1.wav")], 0.6).unwrap();
    let (statement, _) = pk.prove(&short("slt_3.wav"), &plain, &context).unwrap();
    let expected = Expected { no_replays: true, ..Expected::new(&plain.0, &context) };
    assert_eq!(vk.check_statement(&statement, &expected).unwrap_err().field, "replays");
    let list = RevocationList::parse(&plain.0.id().to_string()).unwrap();
    let expected = Expected { revoked: Some(&list), ..Expected::new(&plain.0, &context) };
    assert_eq!(vk.check_statement(&statement, &expected).unwrap_err().field, "revocation");
    let expected = Expected { revoked: Some(&RevocationList::default()), ..Expected::new(&plain.0, &context) };
    assert_eq!(vk.check_statement(&statement, &expected), Ok(()));
}

/// Whoever replays an enrolled recording can only claim that it is another one.
#[cfg(feature = "adversary")]
#[test]
fn a_replay_is_refused() {
    use voxcheck::adversary::{Conditions, Site};
    use voxcheck::gkr::Fr;
    use voxcheck::proof::Reveal;

    let (pk, vk) = keys();
    let (template, secret, _) = named();
    let context = Context::new(*b"nonce");
    let live = Conditions::live();
    for mode in [Mode::Clear, Mode::Zk] {
        let prove = |wav: &Wav| {
            let nothing = |_: Site<'_, Fr>| ();
            let proof = pk.prove_adversarially(
                wav,
                (template, secret),
                &context,
                (mode, Reveal::Decision),
                &live,
                |_| (),
                nothing,
            );
            proof.unwrap().proof
        };
        let honest = prove(&short("slt_3.wav"));
        assert_eq!(vk.verify(honest.statement(), &honest), Ok(Verdict::Accept));
        for name in ["slt_1.wav", "slt_2.wav"] {
            let replayed = prove(&short(name));
            assert!(vk.verify(replayed.statement(), &replayed).is_err(), "{name}, {mode}");
        }
    }
}

#[test]
fn options_that_make_no_template_are_refused() {
    let pk = &keys().0;
    let wavs = [short("slt_1.wav")];
    let enrol = |options: &EnrolOptions<'_>| pk.enrol_with(&wavs, options);
    let usual = EnrolOptions::default();
    assert!(enrol(&usual).is_ok());
    assert!(enrol(&EnrolOptions { label: &"é".repeat(32), ..usual }).is_ok());
    let long = "é".repeat(32) + "e";
    assert!(mismatch(enrol(&EnrolOptions { label: &long, ..usual })).contains("64 bytes"));
    assert!(mismatch(enrol(&EnrolOptions { label: "a\nb", ..usual })).contains("printed"));
    for threshold in [0.0, -0.5, 1.1, f64::NAN] {
        assert!(mismatch(enrol(&EnrolOptions { threshold, ..usual })).contains("threshold"));
    }
    let twice = [short("slt_1.wav"), short("slt_1.wav")];
    assert!(mismatch(pk.enrol(&twice, 0.6)).contains("twice"));
    assert!(mismatch(pk.enrol(&[], 0.6)).contains("at least one"));
}

#[cfg(feature = "attest")]
#[test]
fn a_device_attests_a_recording() {
    use voxcheck::attest::{DeviceKey, DevicePublicKey};
    use voxcheck::proof::{Attestation, Proof};

    let (pk, vk) = keys();
    let template = pk.enrol(&[short("slt_1.wav")], 0.6).unwrap();
    let device = DeviceKey::from_pem(&DeviceKey::generate().unwrap().to_pem()).unwrap();
    let public = DevicePublicKey::from_pem(&device.public().to_pem()).unwrap();
    let (wav, context) = (short("slt_3.wav"), Context::new(*b"nonce"));
    let (audio, secret) = pk.commit_audio(&wav).unwrap();
    let attestation = Attestation::from_bytes(&device.sign(&audio, &context, 1_700_000_000).to_bytes()).unwrap();
    let prove = |attestation: Option<&Attestation>, context: &Context| {
        let options = ProveOptions { audio: Some((&audio, &secret)), attestation, ..ProveOptions::default() };
        pk.prove_with(&wav, &template.0, &template.1, context, &options).map(|(proof, _)| proof)
    };
    let proof = Proof::from_bytes(&prove(Some(&attestation), &context).unwrap().to_bytes()).unwrap();
    assert_eq!(vk.verify(proof.statement(), &proof), Ok(Verdict::Accept));
    assert_eq!(public.check(proof.statement()), Ok(1_700_000_000));
    // No signature, one for another context, of another time, or of another device.
    let found = |proof: &Proof| public.check(proof.statement()).unwrap_err().found;
    assert_eq!(found(&prove(None, &context).unwrap()), "none");
    let other = Context::new(*b"Nonce");
    assert!(found(&prove(Some(&attestation), &other).unwrap()).contains("something else"));
    let stranger = DeviceKey::generate().unwrap();
    assert_eq!(stranger.public().check(proof.statement()).unwrap_err().field, "attestation");
    // A recording that was not signed is not proved with another's signature.
    let (another, _) = pk.commit_audio(&wav).unwrap();
    let stolen = device.sign(&another, &context, 1_700_000_000);
    assert!(mismatch(prove(Some(&stolen), &context)).contains("another commitment"));
    let stolen = stranger.sign(&audio, &context, 1_700_000_000);
    assert!(found(&prove(Some(&stolen), &context).unwrap()).contains("another device"));
    assert!(DeviceKey::from_pem(&public.to_pem()).is_err() && DevicePublicKey::from_pem(&device.to_pem()).is_err());
    assert!(DevicePublicKey::from_pem("").is_err());
}
