//! All routes of a component, ready to be searched on every request.

use super::pattern::Pattern;
use crate::path;
use crate::plugin::{Operation, Route};

/// The routes of a component. Made once per component; a search allocates nothing but
/// the captures of the route it finds.
#[derive(Debug)]
pub struct RouteTable {
    entries: Vec<Entry>,
    /// Whether any of them has captures to fold.
    folds: bool,
}

#[derive(Debug)]
struct Entry {
    pattern: Pattern,
    /// A bit for each operation it answers.
    operations: u16,
    when_option: Option<(String, String)>,
    folded_captures: Vec<String>,
}

/// A path in the one form that stands for all its spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The path, these segments in lower case.
    pub path: String,
    /// Which segments, counted from 0, have other spellings.
    pub segments: Vec<usize>,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This route answers.
    Route {
        /// Its place among the declared routes.
        index: u32,
        /// What its pattern captured.
        captures: Vec<(String, String)>,
    },
    /// The path is there, the operation is not: 405.
    NoOperation,
    /// The path is not there: 404.
    NoRoute,
}

impl RouteTable {
    /// Prepares declared routes.
    #[must_use]
    pub fn new(routes: &[Route]) -> Self {
        let folds = routes.iter().any(|route| !route.folded_captures.is_empty());
        Self { entries: routes.iter().map(Entry::new).collect(), folds }
    }

    /// The one form of a path below the mount, on a mount with these options; `None` if
    /// it has no other spelling. What was folded may belong to another route (`users/ME`
    /// and `users/me`, of `users/{name}` and `users/me`), so it is looked for again.
    #[must_use]
    pub fn folded(&self, path: &str, options: &[(String, String)]) -> Option<Folded> {
        if !self.folds {
            return None;
        }
        let mut folded = Folded { path: path.to_owned(), segments: Vec::new() };
        // Each turn but the last lowers letters, so there is a last one.
        while let Some((_, entry)) = self.best(&folded.path, options)
            && entry.fold(&mut folded)
        {}
        (!folded.segments.is_empty()).then_some(folded)
    }

    /// The route of a path below the mount, on a mount with these options. The best fit
    /// is taken before operations are looked at, so a path is never answered by a wider
    /// pattern because the narrow one lacks the operation. `Update` stands for any write:
    /// it finds routes that declare create or update.
    #[must_use]
    pub fn find(&self, path: &str, operation: Operation, options: &[(String, String)]) -> Found {
        let lists = matches!(operation, Operation::List | Operation::Scan);
        if lists && !path.is_empty() && !path.ends_with('/') {
            return self.find(&format!("{path}/"), operation, options);
        }
        let Some((index, entry)) = self.best(path, options) else {
            return if self.is_folder(path, options) { Found::NoOperation } else { Found::NoRoute };
        };
        if entry.operations & wanted(operation) == 0 {
            return Found::NoOperation;
        }
        Found::Route { index, captures: entry.pattern.captures(path) }
    }

    /// Whether a route is of what is below this path, and of nothing else: one can list there, whether the path is
    /// written with its slash or without.
    fn is_folder(&self, path: &str, options: &[(String, String)]) -> bool {
        !path.is_empty() && self.best(&format!("{path}/"), options).is_some_and(|(_, entry)| entry.pattern.is_folder())
    }

    /// The entry that fits best, with its place.
    fn best(&self, path: &str, options: &[(String, String)]) -> Option<(u32, &Entry)> {
        let fits = |(index, entry): (u32, &'_ Entry)| {
            let rank = entry.pattern.rank(path).filter(|_| entry.is_on(options))?;
            Some((rank, entry.when_option.is_some(), index))
        };
        let best = (0..).zip(&self.entries).filter_map(fits).max_by_key(|(rank, when, _)| (*rank, *when));
        best.map(|(_, _, index)| (index, &self.entries[index as usize]))
    }
}

impl Entry {
    fn new(route: &Route) -> Self {
        Self {
            pattern: Pattern::parse(&route.pattern),
            operations: route.operations.iter().fold(0, |bits, doc| bits | bit(doc.operation)),
            when_option: route.when_option.clone(),
            folded_captures: route.folded_captures.clone(),
        }
    }

    /// Lowers the captures whose case does not count of a path that fits; says whether that
    /// changed it.
    fn fold(&self, folded: &mut Folded) -> bool {
        let mut lowered = Vec::new();
        self.pattern.walk(&folded.path, |place, _, name, text| {
            if !name.is_some_and(|name| self.folded_captures.iter().any(|known| known == name)) {
                lowered.push(text.to_owned());
                return;
            }
            let first = place as usize;
            let more = (first..=first + text.matches('/').count()).filter(|n| !folded.segments.contains(n));
            folded.segments.extend(more.collect::<Vec<_>>());
            lowered.push(path::lowered(text));
        });
        let lowered = lowered.join("/");
        let changed = lowered != folded.path;
        folded.path = lowered;
        changed
    }

    /// Whether the route exists on a mount with these options.
    fn is_on(&self, options: &[(String, String)]) -> bool {
        self.when_option.as_ref().is_none_or(|wanted| options.contains(wanted))
    }
}

/// The operations that answer when this one is asked for.
const fn wanted(operation: Operation) -> u16 {
    match operation {
        Operation::Create | Operation::Update => bit(Operation::Create) | bit(Operation::Update),
        other => bit(other),
    }
}

const fn bit(operation: Operation) -> u16 {
    1 << operation as u16
}
