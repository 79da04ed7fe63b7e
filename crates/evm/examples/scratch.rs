#![allow(clippy::unwrap_used, missing_docs)]
use heddle_evm::*;
use heddle_workload::*;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
#[derive(Default)]
struct Count {
    e: AtomicUsize,
    a: AtomicUsize,
    i: AtomicUsize,
}
impl Observer for Count {
    fn step(&self, _w: usize, s: Step, _t: usize) {
        match s {
            Step::Execute => self.e.fetch_add(1, Ordering::Relaxed),
            Step::Abort => self.a.fetch_add(1, Ordering::Relaxed),
            Step::Idle => self.i.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}
fn best(n: usize, mut f: impl FnMut()) -> Duration {
    (0..n)
        .map(|_| {
            let t = Instant::now();
            f();
            t.elapsed()
        })
        .min()
        .unwrap()
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let size = if args.get(1).is_some_and(|s| s == "large") { Size::Large } else { Size::Small };
    let filter = args.get(2).cloned().unwrap_or_default();
    let n = if size == Size::Large { 4 } else { 40 };
    for name in NAMES {
        if !name.contains(&filter) {
            continue;
        }
        let w = by_name(name, size).unwrap();
        let run = |mode| {
            std::hint::black_box(execute(&w.rules, &w.state, &w.context(), &w.transactions, mode).unwrap());
        };
        let seq = execute(&w.rules, &w.state, &w.context(), &w.transactions, Mode::Sequential).unwrap();
        let list = seq.access_list.clone().unwrap();
        let s = best(n, || run(Mode::Sequential));
        let mut line = format!(
            "{name:24} {:6} txs {:9.0?} {:6.2} us/tx",
            w.transactions.len(),
            s,
            s.as_secs_f64() * 1e6 / w.transactions.len() as f64
        );
        for t in [1, 2] {
            let t = NonZeroUsize::new(t).unwrap();
            let mode = Mode::Parallel { threads: t, hints: None };
            let c = Count::default();
            let o = execute_observed(&w.rules, &w.state, &w.context(), &w.transactions, mode, &c).unwrap();
            assert!(o == seq);
            let p = best(n, || run(mode));
            line += &format!(
                " | P{t} {:.2} e{} a{}",
                s.as_secs_f64() / p.as_secs_f64(),
                c.e.load(Ordering::Relaxed),
                c.a.load(Ordering::Relaxed)
            );
        }
        for t in [1, 2] {
            let t = NonZeroUsize::new(t).unwrap();
            let mode = Mode::AccessList { threads: t, list: &list };
            let p = best(n, || run(mode));
            line += &format!(" | L{t} {:.2}", s.as_secs_f64() / p.as_secs_f64());
        }
        println!("{line}");
    }
}
