use voxcheck::{Model, audio::{FrontEnd, wav}};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let clips: Vec<Vec<i16>> = args[4..].iter().map(|p| wav::read(p).unwrap().samples).collect();
    let t = std::time::Instant::now();
    let m = Model::from_onnx(&args[1]).unwrap().front_end(FrontEnd::by_name(&args[2]).unwrap()).name("xvector-small").calibrate(&clips).unwrap();
    println!("{:?}", t.elapsed());
    std::fs::write(&args[3], m.to_bytes()).unwrap();
    for c in &clips[..2] {
        let t = std::time::Instant::now();
        let e = m.embed(c).unwrap();
        println!("embed {:?}", t.elapsed());
        let f = m.embed_float(c).unwrap().unwrap();
        let e: Vec<f64> = e.iter().map(|&x| x as f64).collect();
        let d: f64 = e.iter().zip(&f).map(|(a, b)| a * b).sum();
        let n = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        println!("cos {}", d / n(&e) / n(&f));
    }
}
