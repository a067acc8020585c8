//! What a call costs: a fresh instance, a request of twelve members, host calls over a
//! store in memory. `BULKHEAD_KV_WASM`, or else `target/guests/kv.wasm` if it is there,
//! is measured too. Set `BULKHEAD_BENCH_SUMMARY` to print only where the time goes.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../src/tests/guests.rs"]
mod guests;
#[path = "../src/tests/host.rs"]
#[allow(dead_code)]
mod host;

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use bulkhead_model::plugin::{GuestRequest, MountFacts};
use bulkhead_model::seam::plugin::{Call, Plugin, Returned};
use bulkhead_sandbox::{Sandbox, SandboxLimits};
use criterion::{Criterion, criterion_group};
use tokio::runtime::Runtime;

use host::{FakeHost, Shared, mount, request, secret_stored};

/// One kind of call, ready to be made.
#[derive(Clone)]
struct Load {
    plugin: Arc<dyn Plugin>,
    facts: Arc<MountFacts>,
    shared: Arc<Shared>,
    request: fn() -> GuestRequest,
}

impl Load {
    async fn once(&self) {
        let host = FakeHost::boxed(&self.facts, &self.shared);
        let finished = self.plugin.call(host, Call::Handle((self.request)())).await.unwrap();
        assert!(matches!(finished.result, Ok(Returned::Secret { .. })));
    }

    fn run(&self, runtime: &Runtime, calls: u64) -> Duration {
        runtime.block_on(async {
            let began = Instant::now();
            for _ in 0..calls {
                self.once().await;
            }
            began.elapsed()
        })
    }

    /// Processor time for `calls` calls spread over two threads.
    fn cpu_on_two(&self, calls: u64) -> Duration {
        std::thread::scope(|scope| {
            let workers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let runtime = runtime();
                    let began = own_processor_time();
                    self.run(&runtime, calls / 2);
                    own_processor_time() - began
                })
            });
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        })
    }

    /// Time for `calls` calls spread over threads, each with its own runtime.
    fn run_on(&self, threads: u64, calls: u64) -> Duration {
        let start = Barrier::new(threads as usize + 1);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let runtime = runtime();
                        start.wait();
                        self.run(&runtime, calls / threads);
                    })
                })
                .collect();
            start.wait();
            let began = Instant::now();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            began.elapsed()
        })
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn load(plugin: &Arc<dyn Plugin>, request: fn() -> GuestRequest) -> Load {
    let shared = Arc::new(Shared::default());
    secret_stored(&shared);
    Load { plugin: Arc::clone(plugin), facts: mount("bench"), shared, request }
}

fn loads() -> Vec<(&'static str, Load)> {
    let sandbox = Sandbox::new(SandboxLimits::default()).unwrap();
    let probe = sandbox.compile(&guests::component(&guests::probe_module())).unwrap();
    let mut loads =
        vec![("empty", load(&probe, || request("empty"))), ("read with 3 gets", load(&probe, || request("read3")))];
    let kv = std::env::var_os("BULKHEAD_KV_WASM").map(Into::into);
    let kv = kv.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/kv.wasm"));
    match std::fs::read(&kv) {
        Ok(wasm) => loads.extend(kv_read(&sandbox.compile(&wasm).unwrap()).map(|load| ("kv v2 read", load))),
        Err(_) => eprintln!("no {}: the kv plugin is not measured", kv.display()),
    }
    loads
}

/// A secret written through the plugin itself, then the load that reads it.
fn kv_read(kv: &Arc<dyn Plugin>) -> Option<Load> {
    use bulkhead_model::hidden::Hidden;
    use bulkhead_model::plugin::Operation;
    fn on_data(operation: Operation, data: &str) -> GuestRequest {
        GuestRequest { operation, data: Hidden::new(data.as_bytes().to_vec()), ..request("data/app/db") }
    }
    let load = Load { shared: Arc::default(), ..load(kv, || on_data(Operation::Read, "{\"version\":0}")) };
    let pattern = |route: &bulkhead_model::plugin::Route| route.pattern == "data/{path...}";
    let route = u32::try_from(kv.descriptor().routes.iter().position(pattern)?).unwrap();
    KV_ROUTE.store(route, std::sync::atomic::Ordering::Relaxed);
    let write = on_data(Operation::Create, "{\"data\":{\"username\":\"app\",\"password\":\"secret\"},\"options\":{}}");
    let load = Load { request: || at_kv_route(on_data(Operation::Read, "{\"version\":0}")), ..load };
    let host = FakeHost::boxed(&load.facts, &load.shared);
    let written = runtime().block_on(kv.call(host, Call::Handle(at_kv_route(write)))).ok()?;
    match written.result {
        Ok(_) => Some(load),
        Err(error) => {
            eprintln!("the kv plugin refused to write: {error:?}");
            None
        }
    }
}

static KV_ROUTE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn at_kv_route(request: GuestRequest) -> GuestRequest {
    GuestRequest { route: KV_ROUTE.load(std::sync::atomic::Ordering::Relaxed), ..request }
}

/// Best of several rounds, because the machine has other work.
fn best(mut measure: impl FnMut() -> Duration) -> Duration {
    (0..15).map(|_| measure()).min().unwrap()
}

/// Processor time of this thread so far: on a machine that is shared, the clock on the
/// wall tells of the neighbours.
fn own_processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

fn processor(work: impl FnOnce()) -> Duration {
    let began = own_processor_time();
    work();
    own_processor_time() - began
}

fn summary() {
    const CALLS: u64 = 4_000;
    let runtime = runtime();
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / CALLS as f64;
    println!("best of 15 rounds of {CALLS} calls; two: calls/s of two threads over those of one");
    println!("{:<20} {:>10} {:>10} {:>12} {:>6}", "", "wall µs", "cpu µs", "cpu µs (two)", "two");
    let host = loads_host_only();
    println!("{:<20} {:>10} {:>10.2}", "host only", "", micros(best(|| processor(|| (0..CALLS).for_each(|_| host())))));
    for (name, load) in loads() {
        load.run(&runtime, CALLS);
        let wall = best(|| load.run(&runtime, CALLS));
        let cpu = best(|| processor(|| _ = load.run(&runtime, CALLS)));
        let two = best(|| load.run_on(2, CALLS));
        let cpu_of_two = best(|| load.cpu_on_two(CALLS));
        let ratio = wall.as_secs_f64() / two.as_secs_f64();
        println!("{name:<20} {:>10.2} {:>10.2} {:>12.2} ×{ratio:.2}", micros(wall), micros(cpu), micros(cpu_of_two));
    }
}

/// What a read costs without a guest: making the request and the host, and three gets.
fn loads_host_only() -> impl Fn() {
    let shared = Arc::new(Shared::default());
    secret_stored(&shared);
    let facts = mount("bench");
    move || {
        let mut host = FakeHost::boxed(&facts, &shared);
        let request = std::hint::black_box(request("read3"));
        for key in ["config", "metadata/app", "versions/app/1"] {
            std::hint::black_box(host.get(key).unwrap());
        }
        drop(request);
    }
}

fn calls(criterion: &mut Criterion) {
    for (name, load) in loads() {
        let runtime = runtime();
        let mut group = criterion.benchmark_group(name);
        group.bench_function("one thread", |bencher| bencher.iter_custom(|calls| load.run(&runtime, calls)));
        group.bench_function("two threads", |bencher| bencher.iter_custom(|calls| load.run_on(2, calls + calls % 2)));
        group.finish();
    }
}

criterion_group!(benches, calls);

fn main() {
    summary();
    if std::env::var_os("BULKHEAD_BENCH_SUMMARY").is_none() {
        benches();
    }
}
