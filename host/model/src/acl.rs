//! What a set of policies decides about a path. The rules are Vault's: an exact
//! pattern beats every wildcard; among wildcards the most specific one decides
//! alone; the same pattern in several policies is their union; deny beats all.
//! Source: Vault docs, "Policies", section "Priority matching".

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::path;
use crate::policy::{Capabilities, KeysFilter, ParameterRules, PathRule, Policy};
use values::{policies_in, policy_listed, value_listed};

mod explain;
mod values;

pub use explain::{ExplainedRule, Explanation};

/// All rules that apply to one caller.
#[derive(Clone, Default)]
pub struct Acl {
    root: bool,
    exact: HashMap<String, Rule>,
    wild: Vec<(Pattern, Rule)>,
}

/// Patterns with what they allow.
pub type PatternList = Vec<(String, Capabilities)>;

/// Rules for one pattern, merged over the policies that have it.
#[derive(Clone, Debug, Default)]
struct Rule {
    capabilities: Capabilities,
    allowed: ParameterRules,
    denied: ParameterRules,
    required: Vec<String>,
    min_wrap_secs: u64,
    max_wrap_secs: u64,
    /// Most names of a list; 0: all.
    page_max: u64,
    /// Which names of a list are shown.
    filter: Option<Arc<KeysFilter>>,
    /// The policies that have it, and what each says.
    policies: Vec<(String, Capabilities)>,
}

/// A rule with its pattern.
type Found<'a> = (&'a str, &'a Rule);

/// A pattern with `+` segments or `*` at its end.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    segments: Vec<String>,
    prefix: bool,
    first_wild: usize,
    pluses: usize,
}

/// What is asked of the policies.
pub struct Ask<'a> {
    /// The canonical path; for LIST and SCAN it ends in a slash.
    pub path: &'a str,
    /// Segments of the path, counted from 0, in which case does not count; in the path they are in
    /// lower case.
    pub folded: &'a [usize],
    /// The capability the operation needs.
    pub needs: Capabilities,
    /// Whether the path itself demands sudo.
    pub sudo: bool,
    /// The request's wrapping TTL, in seconds.
    pub wrap_ttl_secs: Option<u64>,
    /// The request's parameters, parsed only if a rule names parameters. `None`: they cannot be
    /// read, and fit no such rule.
    pub parameters: &'a dyn Fn() -> Option<Map<String, Value>>,
}

/// What the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let through, by these policies.
    Allow {
        /// Names of the policies whose rule decided.
        granting: Vec<String>,
        /// How many names a list is to show, whatever was asked for: 0: all; `None`: as asked.
        page: Option<u64>,
    },
    /// Turned away.
    Deny {
        /// The rule that decided, if one matched.
        rule: Option<DenyingRule>,
    },
}

/// Why a request was turned away, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyingRule {
    /// The pattern that matched.
    pub pattern: String,
    /// The policies that have it; where some of them deny outright, those alone.
    pub policies: Vec<String>,
    /// What stands in the way, as a clause. No parameter is told, nor its value.
    pub reason: String,
}

impl Ask<'_> {
    fn is_list(&self) -> bool {
        [Capabilities::LIST, Capabilities::SCAN].contains(&self.needs)
    }
}

impl Acl {
    /// The ACL of a root token: everything.
    #[must_use]
    pub fn root() -> Self {
        Self { root: true, ..Self::default() }
    }

    /// The rules of these policies together.
    #[must_use]
    pub fn of<'a>(policies: impl IntoIterator<Item = (&'a str, &'a Policy)>) -> Self {
        let rules = policies.into_iter().flat_map(|(name, policy)| policy.rules.iter().map(move |rule| (name, rule)));
        Self::merged(rules.map(|(name, rule)| (rule.pattern.clone(), Rule::of(name, rule))))
    }

    /// Rules with their patterns; those of one pattern are merged.
    fn merged(rules: impl IntoIterator<Item = (String, Rule)>) -> Self {
        let mut exact: HashMap<String, Rule> = HashMap::new();
        let mut wild: HashMap<String, Rule> = HashMap::new();
        for (pattern, rule) in rules {
            let place = if is_wild(&pattern) { &mut wild } else { &mut exact };
            place.entry(pattern).or_default().merge(rule);
        }
        let mut wild: Vec<_> = wild.into_iter().map(|(text, rule)| (Pattern::parse(&text), rule)).collect();
        // Most specific first, so that the first match decides.
        wild.sort_by(|(a, _), (b, _)| b.rank().cmp(&a.rank()));
        Self { root: false, exact, wild }
    }

    /// Whether this is the ACL of a root token.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// Decides about one request.
    #[must_use]
    pub fn decide(&self, ask: &Ask<'_>) -> Decision {
        if self.root {
            return Decision::Allow { granting: vec!["root".into()], page: None };
        }
        decided(self.folded(ask.folded).deciding(ask), ask)
    }

    /// Which names a list is to show; none: all. It is for requests that are let through.
    #[must_use]
    pub fn keys_filter(&self, ask: &Ask<'_>) -> Option<Arc<KeysFilter>> {
        if self.root || !ask.is_list() {
            return None;
        }
        self.folded(ask.folded).deciding(ask).and_then(|(_, rule)| rule.filter.clone())
    }

    /// The one rule that decides, of rules that are folded already.
    fn deciding(&self, ask: &Ask<'_>) -> Option<Found<'_>> {
        if ask.is_list() { self.folder_rule(ask.path) } else { self.rule(ask.path) }
    }

    /// These rules for a path in some of whose segments case does not count. They are lowered
    /// there like the path, or a rule about `users/Ann` would be about nobody.
    fn folded(&self, segments: &[usize]) -> Cow<'_, Self> {
        let patterns = || self.exact.keys().chain(self.wild.iter().map(|(pattern, _)| &pattern.text));
        if segments.is_empty() || patterns().all(|pattern| lowered(pattern, segments) == *pattern) {
            return Cow::Borrowed(self);
        }
        let wild = self.wild.iter().map(|(pattern, rule)| (&pattern.text, rule));
        let rules = self.exact.iter().chain(wild);
        Cow::Owned(Self::merged(rules.map(|(pattern, rule)| (lowered(pattern, segments), rule.clone()))))
    }

    /// What `sys/capabilities` answers for a path, folded as in [`Ask`]. As in Vault, the answer
    /// is that of a list, since only a list has a second spelling to fall back on.
    #[must_use]
    pub fn capabilities(&self, path: &str, folded: &[usize]) -> Vec<&'static str> {
        if self.root {
            return vec!["root"];
        }
        let names = self.folded(folded).folder_rule(path).map_or_else(Vec::new, |(_, rule)| rule.capabilities.names());
        if names.is_empty() { vec!["deny"] } else { names }
    }

    /// Whether any rule could let something below this prefix through: what decides
    /// if a mount is shown to a caller.
    #[must_use]
    pub fn reaches(&self, prefix: &str) -> bool {
        let open =
            |rule: &Rule| !rule.capabilities.has(Capabilities::DENY) && rule.capabilities != Capabilities::default();
        self.root
            || self.exact.iter().any(|(path, rule)| open(rule) && path.starts_with(prefix))
            || self.wild.iter().any(|(pattern, rule)| open(rule) && pattern.may_reach(prefix))
    }

    /// Every pattern with its capabilities: exact ones, then those ending in `*` (without it).
    #[must_use]
    pub fn patterns(&self) -> (PatternList, PatternList) {
        let exact = self.exact.iter().map(|(p, r)| (p.clone(), r.capabilities)).collect();
        let wild = self.wild.iter().map(|(p, r)| (p.text.trim_end_matches('*').to_owned(), r.capabilities)).collect();
        (exact, wild)
    }

    /// The one rule that decides about a path.
    fn rule(&self, path: &str) -> Option<Found<'_>> {
        self.exact_rule(path).or_else(|| self.wild_rule(path))
    }

    /// The one rule that decides about a list. A list of `foo/` is also a look at `foo`,
    /// so each kind of rule is tried with the slash and then without it.
    fn folder_rule(&self, path: &str) -> Option<Found<'_>> {
        let Some(bare) = path.strip_suffix('/') else { return self.rule(path) };
        if let Some(exact) = self.exact_rule(path).or_else(|| self.exact_rule(bare)) {
            return Some(exact);
        }
        // Among wildcards Vault asks without the slash first, OpenBao since
        // GHSA-xp3c-3jw3-4vcr with it, as a grant on `kv/+` hid a deny on `kv/foo/*`. A
        // deny found by either order holds, or one of the two's policies would be
        // weaker here than where it was written.
        let leaf = self.wild_rule(bare);
        let denied = leaf.filter(|(_, rule)| rule.capabilities.has(Capabilities::DENY));
        denied.or_else(|| self.wild_rule(path)).or(leaf)
    }

    fn exact_rule(&self, path: &str) -> Option<Found<'_>> {
        self.exact.get_key_value(path).map(|(pattern, rule)| (pattern.as_str(), rule))
    }

    fn wild_rule(&self, path: &str) -> Option<Found<'_>> {
        self.wild.iter().find(|(pattern, _)| pattern.matches(path)).map(|(p, rule)| (p.text.as_str(), rule))
    }
}

/// What the one rule that matched says.
fn decided(found: Option<Found<'_>>, ask: &Ask<'_>) -> Decision {
    match found {
        None => Decision::Deny { rule: None },
        Some((_, rule)) if let Some(page) = rule.lets(ask) => {
            Decision::Allow { granting: rule.saying(ask.needs), page }
        }
        Some((pattern, rule)) => {
            let denies = rule.capabilities.has(Capabilities::DENY);
            let policies = rule.saying(if denies { Capabilities::DENY } else { Capabilities::default() });
            let reason = explain::reason(rule, ask);
            Decision::Deny { rule: Some(DenyingRule { pattern: pattern.to_owned(), policies, reason }) }
        }
    }
}

impl Rule {
    /// The policies that say this themselves.
    fn saying(&self, capabilities: Capabilities) -> Vec<String> {
        self.policies.iter().filter(|(_, said)| said.has(capabilities)).map(|(name, _)| name.clone()).collect()
    }

    /// What one stanza of a policy says.
    fn of(policy: &str, rule: &PathRule) -> Self {
        Self {
            capabilities: rule.capabilities,
            allowed: rule.allowed_parameters.clone(),
            denied: rule.denied_parameters.clone(),
            required: rule.required_parameters.clone(),
            min_wrap_secs: rule.min_wrapping_ttl_secs,
            max_wrap_secs: rule.max_wrapping_ttl_secs,
            page_max: rule.pagination_limit,
            filter: rule.keys_filter.clone(),
            policies: vec![(policy.to_owned(), rule.capabilities)],
        }
    }

    fn merge(&mut self, other: Self) {
        self.capabilities = self.capabilities.with(other.capabilities);
        self.policies.extend(other.policies);
        if self.capabilities.has(Capabilities::DENY) {
            return;
        }
        merge_parameters(&mut self.allowed, other.allowed);
        merge_parameters(&mut self.denied, other.denied);
        self.required.extend(other.required);
        let lowest = |a: u64, b: u64| if a == 0 || b == 0 { a.max(b) } else { a.min(b) };
        self.min_wrap_secs = lowest(self.min_wrap_secs, other.min_wrap_secs);
        self.max_wrap_secs = lowest(self.max_wrap_secs, other.max_wrap_secs);
        self.page_max = lowest(self.page_max, other.page_max);
        // The first policy that has one decides, as in OpenBao.
        self.filter = self.filter.take().or(other.filter);
    }

    /// Whether it lets the request through, and how many names a list then shows.
    fn lets(&self, ask: &Ask<'_>) -> Option<Option<u64>> {
        if self.capabilities.has(Capabilities::DENY) || !self.capabilities.has(ask.needs) {
            return None;
        }
        if ask.sudo && !self.capabilities.has(Capabilities::SUDO) {
            return None;
        }
        let fits = self.wrapping_fits(ask.wrap_ttl_secs) && self.parameters_fit(ask);
        if fits { self.page(ask) } else { None }
    }

    /// How many names a list shows; none at all (`None`) where more are asked for than the rule has,
    /// or nothing is said though `limit` is required.
    fn page(&self, ask: &Ask<'_>) -> Option<Option<u64>> {
        if !ask.is_list() {
            return Some(None);
        }
        let sent = (ask.parameters)().map(Sent);
        let asked = sent.as_ref().and_then(|sent| sent.0.get("limit"));
        let most = asked.and_then(Value::as_str) == Some("max");
        if self.page_max == 0 {
            return Some(most.then_some(0));
        }
        // What cannot be read is no request without a limit.
        sent.as_ref()?;
        if most {
            return Some(Some(self.page_max));
        }
        let Some(asked) = asked else {
            let required = self.required.iter().any(|name| name.eq_ignore_ascii_case("limit"));
            return (!required).then_some(Some(self.page_max));
        };
        let asked = asked.as_i64().or_else(|| asked.as_str()?.parse().ok())?;
        // 0 stands for all, of which the rule shows so many.
        let asked = Some(u64::try_from(asked).ok()?).filter(|asked| *asked > 0).unwrap_or(self.page_max);
        (asked <= self.page_max).then_some(Some(asked))
    }

    fn wrapping_fits(&self, asked: Option<u64>) -> bool {
        let long_enough = self.min_wrap_secs == 0 || asked.is_some_and(|ttl| ttl >= self.min_wrap_secs);
        let short_enough = self.max_wrap_secs == 0 || asked.is_some_and(|ttl| ttl <= self.max_wrap_secs);
        long_enough && short_enough
    }

    fn parameters_fit(&self, ask: &Ask<'_>) -> bool {
        // Vault holds only reads and writes to rules about parameters.
        let exempt = ask.is_list() || ask.needs == Capabilities::DELETE;
        if exempt || (self.allowed.is_empty() && self.denied.is_empty() && self.required.is_empty()) {
            return true;
        }
        let Some(sent) = (ask.parameters)().map(Sent) else { return false };
        let sent = &sent.0;
        // The name in the policy is lowered, the one that was sent is not: as in Vault, `X`
        // is not the `x` that is required.
        if !self.required.iter().all(|name| sent.contains_key(&name.to_lowercase())) {
            return false;
        }
        if sent.is_empty() {
            return true;
        }
        let values = |rules: &ParameterRules, name: &str| rules.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        if values(&self.denied, "*").is_some() {
            return false;
        }
        let allow_any = values(&self.allowed, "*").is_some();
        sent.iter().all(|(name, value)| {
            let name = name.to_lowercase();
            let policies = policies_in(&name, value);
            let denied = values(&self.denied, &name).is_some_and(|list| {
                value_listed(value, &list) || policies.iter().any(|policy| policy_listed(policy, &list))
            });
            let allowed = match values(&self.allowed, &name) {
                Some(list) => {
                    let each = || policies.iter().all(|policy| policy_listed(policy, &list));
                    value_listed(value, &list) && (list.is_empty() || list.contains(value) || each())
                }
                None => allow_any || self.allowed.is_empty(),
            };
            allowed && !denied
        })
    }
}

/// A request's parameters, wiped after the look at them.
struct Sent(Map<String, Value>);

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.values_mut().for_each(crate::reply::wipe);
    }
}

fn merge_parameters(into: &mut ParameterRules, from: ParameterRules) {
    for (name, values) in from {
        match into.iter_mut().find(|(n, _)| *n == name) {
            // An empty list allows (or denies) any value, and stays so.
            Some((_, have)) if have.is_empty() || values.is_empty() => have.clear(),
            Some((_, have)) => have.extend(values),
            None => into.push((name, values)),
        }
    }
}

/// A pattern with these of its segments in lower case. Segments of pattern and path stand side
/// by side: a `+` is one of them, and what a `*` leaves open comes last.
fn lowered(pattern: &str, segments: &[usize]) -> String {
    let fold = |(place, segment)| match segments.contains(&place) {
        true => Cow::Owned(path::lowered(segment)),
        false => Cow::Borrowed(segment),
    };
    pattern.split('/').enumerate().map(fold).collect::<Vec<_>>().join("/")
}

fn is_wild(pattern: &str) -> bool {
    pattern.ends_with('*') || pattern.split('/').any(|segment| segment == "+")
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let prefix = text.ends_with('*');
        let body = if prefix { &text[..text.len() - 1] } else { text };
        let segments: Vec<String> = body.split('/').map(str::to_owned).collect();
        let first_plus =
            segments.iter().position(|s| s == "+").map(|i| segments[..i].iter().map(|s| s.len() + 1).sum());
        let star = if prefix { body.len() } else { usize::MAX };
        let pluses = segments.iter().filter(|s| *s == "+").count();
        Self { text: text.to_owned(), first_wild: first_plus.unwrap_or(usize::MAX).min(star), prefix, pluses, segments }
    }

    /// Orders patterns by Vault's five tie-breaks; the greater one decides.
    fn rank(&self) -> (usize, bool, std::cmp::Reverse<usize>, usize, &str) {
        (self.first_wild, !self.prefix, std::cmp::Reverse(self.pluses), self.text.len(), &self.text)
    }

    fn matches(&self, path: &str) -> bool {
        let mut rest = path.split('/');
        let last = self.segments.len() - 1;
        for (i, segment) in self.segments.iter().enumerate() {
            let Some(part) = rest.next() else { return false };
            let fits = if segment == "+" {
                // A `+` is one whole segment. That may be the empty one after the last
                // slash: in Vault `kv/+` is about a list of `kv/` too.
                true
            } else if self.prefix && i == last {
                part.starts_with(segment.as_str())
            } else {
                part == segment
            };
            if !fits {
                return false;
            }
        }
        self.prefix || rest.next().is_none()
    }

    /// Whether a path below `prefix` could match.
    fn may_reach(&self, prefix: &str) -> bool {
        let mut ours = self.segments.iter().peekable();
        for part in prefix.trim_end_matches('/').split('/') {
            match ours.next() {
                None => return false,
                Some(segment) if self.prefix && ours.peek().is_none() => return part.starts_with(segment.as_str()),
                Some(segment) if segment != "+" && segment != part => return false,
                Some(_) => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
