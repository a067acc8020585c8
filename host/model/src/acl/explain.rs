//! Why a set of policies lets a request through or not, in words for whoever writes policies.
//! It looks at the same rule as [`Acl::decide`], which asks here for the reason of a refusal.

use super::{Acl, Ask, Decision, Rule};
use crate::policy::Capabilities;

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the request is let through.
    pub allowed: bool,
    /// The one rule that decided; `None`: none matched, or the caller has full power.
    pub rule: Option<ExplainedRule>,
    /// Why, as a clause: `the rule grants "read"`.
    pub reason: String,
}

/// A rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedRule {
    /// Its path, as the policies have it.
    pub pattern: String,
    /// What all of them together grant there, sorted.
    pub capabilities: Vec<&'static str>,
    /// The policies that have it, each with what it says.
    pub policies: Vec<(String, Vec<&'static str>)>,
}

impl Acl {
    /// Decides about a request, and says why.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>) -> Explanation {
        if self.root {
            let reason = "the caller has full power, which no rule limits".to_owned();
            return Explanation { allowed: true, rule: None, reason };
        }
        let allowed = matches!(self.decide(ask), Decision::Allow { .. });
        let acl = self.folded(ask.folded);
        let Some((pattern, rule)) = acl.deciding(ask) else {
            return Explanation { allowed, rule: None, reason: "no rule matches the path".to_owned() };
        };
        let explained = ExplainedRule {
            pattern: pattern.to_owned(),
            capabilities: rule.capabilities.names(),
            policies: rule.policies.iter().map(|(name, said)| (name.clone(), said.names())).collect(),
        };
        Explanation { allowed, reason: reason(rule, ask), rule: Some(explained) }
    }
}

/// The first thing that stands against the request, in the order in which the rule looks.
pub(super) fn reason(rule: &Rule, ask: &Ask<'_>) -> String {
    let needed = ask.needs.names().join(" and ");
    if rule.capabilities.has(Capabilities::DENY) {
        return "the rule denies everything".to_owned();
    }
    if !rule.capabilities.has(ask.needs) {
        return format!("the rule does not grant {needed:?}");
    }
    if ask.sudo && !rule.capabilities.has(Capabilities::SUDO) {
        return "the path demands \"sudo\", which the rule does not grant".to_owned();
    }
    if !rule.wrapping_fits(ask.wrap_ttl_secs) {
        let (min, max) = (rule.min_wrap_secs, rule.max_wrap_secs);
        let most = if max == 0 { "more".to_owned() } else { format!("{max} s") };
        return format!("the answer must be wrapped for {min} s to {most}");
    }
    if !rule.parameters_fit(ask) {
        return "a parameter is missing, denied, or not among those that are allowed".to_owned();
    }
    if rule.page(ask).is_none() {
        return format!("a list shows {} names at most, and \"limit\" must say no more", rule.page_max);
    }
    format!("the rule grants {needed:?}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::policy::Policy;

    fn acl(policies: &[(&str, String)]) -> Acl {
        let parsed: Vec<_> = policies.iter().map(|(n, t)| (*n, Policy::parse(t).expect("a policy"))).collect();
        Acl::of(parsed.iter().map(|(n, p)| (*n, p)))
    }

    fn ask<'a>(path: &'a str, needs: Capabilities, parameters: &'a dyn Fn() -> Option<Map<String, Value>>) -> Ask<'a> {
        Ask { path, needs, folded: &[], sudo: false, wrap_ttl_secs: None, parameters }
    }

    #[test]
    fn the_reason_is_what_stands_in_the_way() {
        let text = r#"
            path "kv/*" { capabilities = ["read", "update"] required_parameters = ["a"] }
            path "kv/none" { capabilities = ["deny"] }
            path "kv/wrapped" { capabilities = ["read"] min_wrapping_ttl = "10s" }"#;
        let acl = acl(&[("p", text.to_owned())]);
        let none = || Some(Map::new());
        let of = |path, needs, sudo| acl.explain(&Ask { sudo, ..ask(path, needs, &none) });
        for (path, needs, sudo, allowed, reason) in [
            ("kv/none", Capabilities::READ, false, false, "the rule denies everything"),
            ("kv/a", Capabilities::LIST, false, false, "the rule does not grant \"list\""),
            ("kv/a", Capabilities::READ, true, false, "the path demands \"sudo\", which the rule does not grant"),
            ("kv/a", Capabilities::UPDATE, false, false, "a parameter is missing, denied, or not among those"),
            ("kv/wrapped", Capabilities::READ, false, false, "the answer must be wrapped for 10 s to more"),
            ("other", Capabilities::READ, false, false, "no rule matches the path"),
        ] {
            let told = of(path, needs, sudo);
            assert_eq!(told.allowed, allowed, "{path}");
            assert!(told.reason.starts_with(reason), "{path}: {}", told.reason);
        }
        let root = Acl::root().explain(&ask("a", Capabilities::READ, &none));
        assert!(root.allowed && root.rule.is_none());
        let some = || Some(Map::from_iter([("a".to_owned(), Value::Null)]));
        let told = acl.explain(&ask("kv/a", Capabilities::READ, &some));
        assert_eq!((told.allowed, told.reason.as_str()), (true, "the rule grants \"read\""));
        let rule = told.rule.expect("it matched");
        assert_eq!((rule.pattern.as_str(), rule.capabilities), ("kv/*", vec!["read", "update"]));
        assert_eq!(rule.policies, [("p".to_owned(), vec!["read", "update"])]);
    }

    proptest! {
        /// What is told is what is decided, and the reason fits it.
        #[test]
        fn an_explanation_never_differs_from_the_decision(
            rules in prop::collection::vec(("(a|b|\\+)(/(a|b|\\+)){0,2}(/[*])?", prop::sample::subsequence(
                vec!["read", "list", "update", "sudo", "deny"], 0..4)), 0..6),
            path in "(a|b|c)(/(a|b|c)){0,2}/?",
            needs in prop::sample::select(vec![Capabilities::READ, Capabilities::LIST, Capabilities::UPDATE]),
            sudo in any::<bool>(),
        ) {
            let texts: Vec<(&str, String)> = rules.iter().zip(["p", "q"].into_iter().cycle()).map(|((path, said), name)| {
                (name, format!("path \"{path}\" {{ capabilities = {said:?} }}"))
            }).collect();
            let acl = acl(&texts);
            let none = || Some(Map::new());
            let ask = Ask { sudo, ..ask(&path, needs, &none) };
            let told = acl.explain(&ask);
            match acl.decide(&ask) {
                Decision::Allow { granting, .. } => {
                    prop_assert!(told.allowed && told.reason.starts_with("the rule grants"), "{}", told.reason);
                    let rule = told.rule.expect("a rule allowed it");
                    prop_assert!(granting.iter().all(|name| rule.policies.iter().any(|(n, _)| n == name)));
                }
                Decision::Deny { rule } => {
                    prop_assert!(!told.allowed && !told.reason.starts_with("the rule grants"), "{}", told.reason);
                    prop_assert_eq!(rule.map(|rule| rule.pattern), told.rule.map(|rule| rule.pattern));
                }
            }
        }
    }
}
