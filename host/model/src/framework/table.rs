//! All routes of a component, ready to be searched on every request.

use super::pattern::Pattern;
use crate::plugin::{Operation, Route};

/// The routes of a component. Made once per component; a search allocates nothing but
/// the captures of the route it finds.
#[derive(Debug)]
pub struct RouteTable {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    pattern: Pattern,
    /// A bit for each operation it answers.
    operations: u16,
    when_option: Option<(String, String)>,
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
        Self { entries: routes.iter().map(Entry::new).collect() }
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
        let fits = |(index, entry): (u32, &'_ Entry)| {
            let rank = entry.pattern.rank(path).filter(|_| entry.is_on(options))?;
            Some((rank, entry.when_option.is_some(), index))
        };
        let best = (0..).zip(&self.entries).filter_map(fits).max_by_key(|(rank, when, _)| (*rank, *when));
        let Some((_, _, index)) = best else { return Found::NoRoute };
        let entry = &self.entries[index as usize];
        if entry.operations & wanted(operation) == 0 {
            return Found::NoOperation;
        }
        Found::Route { index, captures: entry.pattern.captures(path) }
    }
}

impl Entry {
    fn new(route: &Route) -> Self {
        Self {
            pattern: Pattern::parse(&route.pattern),
            operations: route.operations.iter().fold(0, |bits, doc| bits | bit(doc.operation)),
            when_option: route.when_option.clone(),
        }
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
