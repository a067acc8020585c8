//! Which limit holds for a path: the nearest one alone counts.

use std::collections::HashMap;

use super::bucket::Limit;

/// A limit and the paths it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitRule<L = Limit> {
    /// Empty: every path. With a slash at the end: a mount, or a namespace. With a star at the end: all
    /// that begins so. Else this path alone.
    pub path: String,
    /// What a client may do there, or how much there may be.
    pub limit: L,
    /// Of a namespace, the root among them: whether it is for those below, too.
    pub inheritable: bool,
    /// Of an auth method: for logins with this role alone; empty: for all that is asked of it.
    pub role: String,
}

/// All limits of a node, ready to be asked.
#[derive(Debug)]
pub struct QuotaRules<L = Limit> {
    rules: Vec<LimitRule<L>>,
    /// Places in `rules`, by path without a slash or star at the end.
    exact: HashMap<String, usize>,
    mounts: HashMap<String, usize>,
    /// Longest first.
    beginnings: Vec<(String, usize)>,
    everywhere: Option<usize>,
    /// Those for a role, by path of the method without its slash, then by role.
    roles: HashMap<String, HashMap<String, usize>>,
    exempt: Vec<String>,
}

impl<L> QuotaRules<L> {
    /// Sorts rules. `exempt` holds beginnings of paths that no rule is for; one that starts
    /// with `!` takes paths out of the exemption again.
    #[must_use]
    pub fn new(rules: Vec<LimitRule<L>>, exempt: Vec<String>) -> Self {
        let (exact, mounts, beginnings) = (HashMap::new(), HashMap::new(), Vec::new());
        let (everywhere, roles) = (None, HashMap::new());
        let mut sorted = Self { rules: Vec::new(), exact, mounts, beginnings, everywhere, roles, exempt };
        for (place, rule) in rules.iter().enumerate() {
            if !rule.role.is_empty() {
                let method = rule.path.trim_end_matches('/').to_owned();
                sorted.roles.entry(method).or_default().insert(rule.role.clone(), place);
            } else if rule.path.is_empty() {
                sorted.everywhere = Some(place);
            } else if let Some(beginning) = rule.path.strip_suffix('*') {
                sorted.beginnings.push((beginning.to_owned(), place));
            } else if let Some(mount) = rule.path.strip_suffix('/') {
                sorted.mounts.insert(mount.to_owned(), place);
            } else {
                sorted.exact.insert(rule.path.clone(), place);
            }
        }
        sorted.beginnings.sort_by_key(|(beginning, _)| usize::MAX - beginning.len());
        sorted.rules = rules;
        sorted
    }

    /// Whether there is no rule, for whatever path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The number of the rule for this path, with its limit. The path itself is nearest,
    /// then the longest beginning, then the mount, then the namespace and those above it. `namespace`:
    /// the one the path is in, with a slash at its end; of the root: nothing.
    #[must_use]
    pub fn find(&self, path: &str, namespace: &str) -> Option<(usize, &L)> {
        if self.rules.is_empty() || self.is_exempt(path) {
            return None;
        }
        let bare = path.strip_suffix('/').unwrap_or(path);
        let beginning = || self.beginnings.iter().find(|(b, _)| path.starts_with(b.as_str())).map(|(_, place)| *place);
        // The mount is below its namespace, which is below others.
        let mount = || {
            let ends = path.rmatch_indices('/').map(|(at, _)| at);
            let mut ends = [path.len()].into_iter().chain(ends);
            let holds = |end: usize, place: usize| end + 1 >= namespace.len() || self.rules[place].inheritable;
            ends.find_map(|end| self.mounts.get(&path[..end]).copied().filter(|place| holds(end, *place)))
        };
        let everywhere = self.everywhere.filter(|place| namespace.is_empty() || self.rules[*place].inheritable);
        let place = self.exact.get(bare).copied().or_else(beginning).or_else(mount).or(everywhere)?;
        Some((place, &self.rules[place].limit))
    }

    /// Whether a path is one of an auth method that has rules for its roles.
    #[must_use]
    pub fn has_roles(&self, path: &str) -> bool {
        self.of_method(path).is_some() && !self.is_exempt(path)
    }

    /// The rule for logins with this role at this path, which comes before all others.
    #[must_use]
    pub fn find_of_role(&self, path: &str, role: &str) -> Option<(usize, &L)> {
        let place = *self.of_method(path)?.get(role)?;
        (!self.is_exempt(path)).then_some((place, &self.rules[place].limit))
    }

    fn of_method(&self, path: &str) -> Option<&HashMap<String, usize>> {
        if self.roles.is_empty() {
            return None;
        }
        path.match_indices('/').find_map(|(end, _)| self.roles.get(&path[..end]))
    }

    /// The longest entry that the path begins with decides.
    fn is_exempt(&self, path: &str) -> bool {
        let fits = |entry: &&String| !entry.is_empty() && path.starts_with(beginning(entry));
        let nearest = self.exempt.iter().filter(fits).max_by_key(|entry| beginning(entry).len());
        nearest.is_some_and(|entry| !entry.starts_with('!'))
    }
}

/// What a path begins with that an entry of the exemptions is about.
fn beginning(entry: &str) -> &str {
    let entry = entry.strip_prefix('!').unwrap_or(entry);
    entry.strip_suffix('*').unwrap_or(entry)
}
