//! Measures what a ledger costs: proposals from many callers at once, reads, views.
//! `cargo run --release -p bulkhead-ledger --example measure -- [directory] [callers] [seconds]`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bulkhead_ledger::{LedgerConfig, RaftLedger};
use bulkhead_model::change::{Change, ReadCheck, Write};
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::seam::ledger::Ledger;

const VALUE_BYTES: usize = 560;
const KEYS: u64 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().unwrap_or_else(|| "/tmp/ledger-measure".into());
    let callers: u64 = args.next().map_or(Ok(32), |text| text.parse())?;
    let seconds: u64 = args.next().map_or(Ok(5), |text| text.parse())?;
    let config = LedgerConfig::new(&directory, "one", &FakeEntropy::seeded(1));
    let began = Instant::now();
    let ledger = RaftLedger::open(config).await?;
    println!("open       {:>10.1} ms", began.elapsed().as_secs_f64() * 1e3);
    ledger.bootstrap().await?;
    proposals(&ledger, 1, 1).await;
    proposals(&ledger, callers, seconds).await;
    reads(&ledger).await?;
    ledger.shutdown().await?;
    Ok(())
}

async fn proposals(ledger: &Arc<RaftLedger>, callers: u64, seconds: u64) {
    let done = Arc::new(AtomicU64::new(0));
    let (began, cpu) = (Instant::now(), cpu());
    let until = began + Duration::from_secs(seconds);
    let mut calling = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (ledger, done) = (Arc::clone(ledger), Arc::clone(&done));
        calling.spawn(async move {
            let mut nth = caller;
            while Instant::now() < until {
                let key = format!("key/{:08}", nth % KEYS).into_bytes();
                let reads = vec![ReadCheck { key: b"no/such/key".to_vec(), version: None }];
                let writes = vec![Write { key, value: Some(vec![7; VALUE_BYTES]) }];
                let change = Change { reads, writes, ..Change::default() };
                if let Err(e) = ledger.propose(change).await {
                    eprintln!("{e}");
                    return;
                }
                done.fetch_add(1, Relaxed);
                nth += callers;
            }
        });
    }
    calling.join_all().await;
    let (done, elapsed) = (done.load(Relaxed) as f64, began.elapsed().as_secs_f64());
    let each = (self::cpu() - cpu) * 1e6 / done;
    println!(
        "propose    {:>10.0} /s with {callers} callers, {each:.1} us of CPU each, {:.2} ms p50",
        done / elapsed,
        elapsed * 1e3 * callers as f64 / done
    );
}

async fn reads(ledger: &Arc<RaftLedger>) -> Result<(), Box<dyn Error>> {
    const TIMES: u32 = 1_000_000;
    let began = Instant::now();
    for _ in 0..TIMES {
        ledger.linearizable().await?;
    }
    println!("linearizable {:>8.0} ns", began.elapsed().as_nanos() as f64 / f64::from(TIMES));
    let began = Instant::now();
    for _ in 0..TIMES {
        drop(ledger.view()?);
    }
    println!("view       {:>10.0} ns", began.elapsed().as_nanos() as f64 / f64::from(TIMES));
    let began = Instant::now();
    for nth in 0..TIMES {
        let key = format!("key/{:08}", u64::from(nth) * 7919 % KEYS);
        drop(ledger.view()?.get(key.as_bytes())?);
    }
    println!("view + get {:>10.0} ns", began.elapsed().as_nanos() as f64 / f64::from(TIMES));
    let began = Instant::now();
    for _ in 0..TIMES {
        std::hint::black_box(ledger.standing());
    }
    println!("standing   {:>10.0} ns", began.elapsed().as_nanos() as f64 / f64::from(TIMES));
    Ok(())
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
