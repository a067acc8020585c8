//! A guest of the tests: it uses each part of the contract that the examples do not, and
//! tells what came of it.

use bulkhead_sdk::prelude::*;

/// The engine.
#[derive(Debug)]
pub struct Almanac;

/// Where the number of regular runs is kept.
const TICKS: &str = "ticks";
/// Where the reasons given at `initialize` are kept, in order.
const REASONS: &str = "reasons";
/// Where the sum is kept.
const SUM: &str = "sum";

#[derive(Fields)]
struct Add {
    /// How much.
    #[field(required)]
    amount: i64,
}

#[derive(Fields)]
struct Attempt {
    /// What is about to be done outside.
    #[field(required)]
    name: String,
    /// Whether it then fails.
    fails: bool,
}

/// Keeps the days.
#[plugin(name = "almanac", data_version = 1)]
impl Almanac {
    /// The reasons this mount was told of.
    #[read("reasons")]
    fn reasons(cx: &Cx) -> Result<Value> {
        Ok(json!({ "reasons": stored::<Vec<String>>(cx, REASONS)? }))
    }

    /// How often the regular job has run.
    #[read("ticks")]
    fn ticks(cx: &Cx) -> Result<Value> {
        Ok(json!({ "ticks": stored::<u64>(cx, TICKS)? }))
    }

    /// An answer with headers.
    #[read("headers")]
    fn headers(_cx: &Cx) -> Result<Reply> {
        Ok(Reply::json(&json!({ "a": 1 }))?.header("Replay-Nonce", "n1").header("X-Other", "o"))
    }

    /// An answer that is always wrapped.
    #[read("wrapped")]
    fn wrapped(_cx: &Cx) -> Result<Reply> {
        Ok(Reply::json(&json!({ "a": 1 }))?.wrapped(Seconds(120)))
    }

    /// A wrapping token as a part of an answer.
    #[read("token")]
    fn token(cx: &Cx) -> Result<Value> {
        Ok(json!({ "token": cx.wrap(&json!({ "b": 2 }), Seconds(60))? }))
    }

    /// Adds to the sum, one call after the other.
    #[write("sum")]
    fn add(cx: &Cx, body: Add) -> Result<Value> {
        let _lock = cx.acquire("sum", 30_000)?;
        let sum = stored::<i64>(cx, SUM)? + body.amount;
        cx.put_bytes(SUM, &serde_json::to_vec(&sum).unwrap_or_default())?;
        Ok(json!({ "sum": sum }))
    }

    /// A password by a policy, or by none.
    #[read("password/{policy?}")]
    fn password(cx: &Cx, policy: &str) -> Result<Value> {
        let policy = Some(policy).filter(|policy| !policy.is_empty());
        Ok(json!({ "password": cx.generate_password(policy)? }))
    }

    /// Means to do something outside; where it fails, that is to be undone.
    #[write("attempt")]
    fn attempt(cx: &Cx, body: Attempt) -> Result<()> {
        cx.intend("attempt", &json!({ "name": body.name }))?;
        cx.put_bytes("attempted", body.name.as_bytes())?;
        if body.fails { Err(Error::upstream("it failed")) } else { Ok(()) }
    }

    /// Ends as no plugin should: it panics, never returns, or takes all memory there is.
    #[read("end/{how}")]
    fn end(_cx: &Cx, how: &str) -> Result<Value> {
        match how {
            "loop" => loop {
                std::hint::black_box(how);
            },
            "grow" => {
                let mut all = Vec::new();
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            _ => panic!("a day that is in no almanac"),
        }
    }

    #[initialize]
    fn initialize(cx: &Cx, reason: Reason) -> Result<()> {
        let mut reasons = stored::<Vec<String>>(cx, REASONS)?;
        reasons.push(format!("{reason:?}"));
        cx.put_bytes(REASONS, &serde_json::to_vec(&reasons).unwrap_or_default())
    }

    #[job("tick", every = 1)]
    fn tick(cx: &Cx, _key: &str, _payload: &[u8]) -> Result<JobOutcome> {
        let ticks = stored::<u64>(cx, TICKS)? + 1;
        cx.put_bytes(TICKS, ticks.to_string().as_bytes())?;
        Ok(JobOutcome::Done)
    }

    #[rollback("attempt")]
    fn undo(_cx: &Cx, _data: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// What lies at a key, as JSON; where there is nothing, nothing.
fn stored<T: Default + serde::de::DeserializeOwned>(cx: &Cx, key: &str) -> Result<T> {
    Ok(cx.get_bytes(key)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

bulkhead_sdk::export_engine!(Almanac);
