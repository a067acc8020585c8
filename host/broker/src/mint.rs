//! Makes tokens: for a login, for a wrapped answer, for whoever asks `auth/token`.

use bulkhead_model::duration::format_go;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::AuthGrant;
use bulkhead_model::policy::PolicyName;
use bulkhead_model::reply::{AuthInfo, Envelope, Reply, WrapInfo};
use bulkhead_model::request::Request;

use crate::book::kept::Kept;
use crate::book::mounts::Mount;
use crate::book::policies;
use crate::book::tokens::{self, TokenHash, TokenRecord};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::visit::{Visit, enveloped};

/// A token that is in the visit's transaction.
pub(crate) struct Minted {
    pub auth: AuthInfo,
    pub warnings: Vec<String>,
}

/// Normalises policy names: trimmed, lower case, sorted, each once. `root` swallows all
/// others. Names that cannot be a policy's are dropped, as they could grant nothing.
pub(crate) fn sanitised(names: &[String], with_default: bool) -> Vec<String> {
    let trimmed: Vec<String> = names.iter().map(|n| n.trim().to_lowercase()).filter(|n| !n.is_empty()).collect();
    if trimmed.iter().any(|n| n == "root") {
        return vec!["root".into()];
    }
    let mut policies: Vec<String> = trimmed.into_iter().filter(|n| PolicyName::parse(n).is_ok()).collect();
    if with_default {
        policies.push("default".into());
    }
    policies.sort();
    policies.dedup();
    policies
}

/// Warnings for policies that do not exist.
pub(crate) fn missing_policies(visit: &mut Visit, names: &[String]) -> Result<Vec<String>, Fault> {
    let mut warnings = Vec::new();
    for name in names {
        let Ok(policy) = PolicyName::parse(name) else { continue };
        if policies::read(&mut visit.tx, &policy, visit.now_ms)?.is_none() {
            warnings.push(format!("Policy {name:?} does not exist"));
        }
    }
    Ok(warnings)
}

/// Writes a token of this record, under a random name unless one is given.
pub(crate) fn mint(visit: &mut Visit, mut record: TokenRecord, id: Option<Hidden<String>>) -> Result<AuthInfo, Fault> {
    let token = id.unwrap_or_else(|| Hidden::new(format!("s.{}", visit.random_text(24))));
    record.accessor = visit.random_text(24);
    record.created_ms = visit.now_ms;
    record.creation_ttl_secs = record.ttl_secs;
    if record.ttl_secs > 0 {
        record.expires_ms = visit.now_ms.saturating_add(record.ttl_secs.saturating_mul(1000));
    }
    let hash = visit.open.salt.hash(token.expose());
    tokens::create(&mut visit.tx, &visit.open.salt, &hash, &record)?;
    Ok(auth_info(&record, token))
}

/// The envelope's `auth` for a token.
pub(crate) fn auth_info(record: &TokenRecord, client_token: Hidden<String>) -> AuthInfo {
    AuthInfo {
        client_token,
        accessor: record.accessor.clone(),
        display_name: record.display_name.clone(),
        policies: record.policies.clone(),
        token_policies: record.policies.clone(),
        identity_policies: Vec::new(),
        metadata: record.metadata.clone(),
        lease_duration_secs: record.ttl_secs,
        renewable: record.renewable,
        entity_id: record.entity_id.clone(),
        token_type: "service".into(),
        orphan: record.is_orphan(),
        num_uses: record.num_uses,
    }
}

/// Lifetimes asked for, and the bounds they are held to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lifetime {
    pub ttl_secs: u64,
    pub max_secs: u64,
    pub period_secs: u64,
    pub explicit_max_secs: u64,
}

/// The lifetime to grant, with the warnings Vault gives when it grants less than asked.
/// `ran_secs`: how long the token lives already, at a renewal.
pub(crate) fn lifetime(asked: Lifetime, default_secs: u64, ran_secs: u64) -> (u64, Vec<String>) {
    let mut warnings = Vec::new();
    let bound = |explicit: u64| if explicit == 0 { u64::MAX } else { explicit.saturating_sub(ran_secs) };
    let explicit = bound(asked.explicit_max_secs);
    let mut cap = |what: &str, value: u64, longest: u64, shown: u64| {
        if value > longest {
            let (value, shown) = (short_go(value), short_go(shown));
            warnings.push(format!(
                "{what} of {value:?} exceeded the effective max_ttl of {shown:?}; {what} value is capped accordingly"
            ));
        }
        value.min(longest)
    };
    let granted = if asked.period_secs > 0 {
        let longest = asked.max_secs.min(explicit);
        cap("period", asked.period_secs, longest, longest)
    } else {
        // A token's own longest life counts from its birth, and may go beyond the
        // mount's only through `explicit_max_ttl`.
        let mount_max = asked.max_secs.saturating_sub(ran_secs);
        let longest = if asked.explicit_max_secs > 0 { explicit } else { mount_max };
        let wanted = if asked.ttl_secs > 0 { asked.ttl_secs } else { default_secs };
        cap("TTL", wanted, longest, longest)
    };
    (granted, warnings)
}

/// Go's notation without trailing zero units: `1h`, `20m`, `1h30m`.
fn short_go(secs: u64) -> String {
    let mut text = format_go(secs);
    for zero in ["m0s", "h0m"] {
        if let Some(short) = text.strip_suffix(zero).map(str::to_owned) {
            text = format!("{short}{}", &zero[..1]);
        }
    }
    text
}

/// The token of a login.
pub(crate) fn from_login(
    visit: &mut Visit,
    request: &Request,
    mount: &Mount,
    grant: AuthGrant,
) -> Result<Minted, Fault> {
    let names = sanitised(&grant.policies, !grant.no_default_policy);
    // Invariant: only initialisation and generate-root make root tokens. A plugin that
    // asks for one is broken or hostile.
    if names.iter().any(|n| n == "root") {
        return Err(Fault::invalid("auth methods cannot create root tokens"));
    }
    let (default_secs, max_secs) = mount.ttls();
    let asked = Lifetime {
        ttl_secs: grant.ttl.unwrap_or(0),
        max_secs: grant.max_ttl.filter(|t| *t > 0).map_or(max_secs, |t| t.min(max_secs)),
        period_secs: grant.period.unwrap_or(0),
        explicit_max_secs: grant.explicit_max_ttl.unwrap_or(0),
    };
    let (ttl_secs, warnings) = lifetime(asked, default_secs, 0);
    let name = mount.entry.path.trim_end_matches('/').replace('/', "-");
    let record = TokenRecord {
        policies: names,
        path: request.path.as_str().to_owned(),
        display_name: [name.as_str(), &grant.display_name].join("-").trim_end_matches('-').to_owned(),
        metadata: grant.metadata,
        num_uses: u64::from(grant.num_uses),
        ttl_secs,
        explicit_max_ttl_secs: asked.explicit_max_secs,
        period_secs: asked.period_secs,
        renewable: grant.renewable,
        bound_cidrs: grant.bound_cidrs,
        internal: Kept::from(grant.internal),
        mount_accessor: mount.entry.accessor.clone(),
        ..TokenRecord::default()
    };
    Ok(Minted { auth: mint(visit, record, None)?, warnings })
}

/// Puts the answer behind a wrapping token if the caller asked for that and there is
/// something to wrap.
pub(crate) fn wrap_if_asked(visit: &mut Visit, request: &Request, reply: Reply) -> Result<Reply, Fault> {
    let Some(ttl_secs) = request.wrap_ttl_secs.filter(|secs| *secs > 0) else { return Ok(reply) };
    let envelope = match reply {
        Reply::Envelope(envelope) => envelope,
        // Whoever asks for a wrapped answer must never get it in the open.
        Reply::Raw { status, .. } if status < 300 => {
            return Err(Fault::invalid("this path answers with bytes of its own, which cannot be wrapped"));
        }
        other => return Ok(other),
    };
    if envelope.wrap.is_some() || (envelope.data.is_none() && envelope.auth.is_none()) {
        return Ok(Reply::Envelope(envelope));
    }
    let wrapped_accessor = envelope.auth.as_ref().map(|auth| auth.accessor.clone());
    let content = crate::sys::wrapping::stored(&envelope);
    wrap(visit, ttl_secs, request.path.as_str(), wrapped_accessor, &content)
}

/// Keeps content in the cubbyhole of a single-use token, and answers with that token.
pub(crate) fn wrap(
    visit: &mut Visit,
    ttl_secs: u64,
    creation_path: &str,
    wrapped_accessor: Option<String>,
    content: &Hidden<Vec<u8>>,
) -> Result<Reply, Fault> {
    let record = TokenRecord {
        policies: vec!["response-wrapping".into()],
        path: creation_path.to_owned(),
        display_name: visit.who.as_ref().map_or_else(String::new, |who| who.record.display_name.clone()),
        num_uses: 1,
        ttl_secs,
        explicit_max_ttl_secs: ttl_secs,
        ..TokenRecord::default()
    };
    let auth = mint(visit, record, None)?;
    let hash: TokenHash = visit.open.salt.hash(auth.client_token.expose());
    let key = crate::book::cubby_key(&hash, "response").expect("the name is plain");
    visit.tx.put(&key, content.expose())?;
    let wrap = WrapInfo {
        token: auth.client_token,
        accessor: auth.accessor,
        ttl_secs,
        creation_time: rfc3339(visit.now_ms),
        creation_path: creation_path.to_owned(),
        wrapped_accessor,
    };
    Ok(enveloped(Envelope { wrap: Some(wrap), ..Envelope::default() }))
}
