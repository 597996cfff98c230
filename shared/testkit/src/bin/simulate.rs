fn main() {
    let args: Vec<String> = std::env::args().collect();
    let from: u64 = args[1].parse().unwrap();
    let n: u64 = args[2].parse().unwrap();
    let t = std::time::Instant::now();
    let mut ev = 0;
    for seed in from..from + n {
        let o = odyssey_testkit::sim::run(seed, &Default::default(), n == 1);
        ev += o.events;
        if n == 1 { for l in &o.log { println!("{l}"); } println!("{:?}", o.checked); }
        if n > 1 && std::env::var("TWICE").is_ok() { let p = odyssey_testkit::sim::run(seed, &Default::default(), false); if p.digest != o.digest { println!("seed {seed} NOT DETERMINISTIC"); } }
        if let Some(v) = o.violation { println!("seed {seed} {} events: {}: {}", o.events, v.invariant, v.text); }
    }
    println!("{n} seeds {ev} events {:?}", t.elapsed());
}
