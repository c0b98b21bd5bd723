use voxcheck::{Context, Model, audio::wav, setup, proof::ProveOptions};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let m = Model::read(&args[1]).unwrap();
    let t = std::time::Instant::now();
    let (pk, vk) = setup(&m).unwrap();
    println!("setup {:?} {}", t.elapsed(), vk.model_id());
    let clips: Vec<_> = args[2..].iter().map(|p| wav::read(p).unwrap()).collect();
    let t = std::time::Instant::now();
    let (tpl, sec) = pk.enrol(&clips[..2], 0.6).unwrap();
    println!("enrol {:?}", t.elapsed());
    for w in &clips[2..] {
        for _ in 0..3 {
        let t = std::time::Instant::now();
        let (proof, r) = pk.prove_with(w, &tpl, &sec, &Context::new(b"x".to_vec()), &ProveOptions::default()).unwrap();
        println!("prove {:?} {:?}", t.elapsed(), r.stages);
        println!("{:?} score {} lookups {} committed {} macs {} bytes {}", r.verdict, r.score, r.lookups, r.committed_values, r.macs, proof.to_bytes().len());
        let t = std::time::Instant::now();
        println!("{:?} {:?}", vk.verify(proof.statement(), &proof), t.elapsed());
        }
    }
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", s.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
