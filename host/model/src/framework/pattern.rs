//! A route's pattern, parsed: `roles/{name}`, `creds/{name?}`, `data/{path...}`.

/// One part between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// These very bytes.
    Literal(String),
    /// One segment, not empty.
    Capture(String),
    /// The last segment, which may be missing with its slash.
    Optional(String),
    /// All that is left, slashes included, perhaps empty.
    Rest(String),
}

/// A pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

/// How well a pattern fits a path: two bits a segment from the left, more for a literal
/// than for a capture, more for a capture than for the rest. Larger is better.
pub(super) type Rank = u64;

/// Parts that a rank has room for; what is behind them does not count.
const RANKED_PARTS: u32 = 32;

impl Pattern {
    pub(super) fn parse(text: &str) -> Self {
        Self { parts: text.split('/').map(Part::parse).collect() }
    }

    /// Whether it ends in a slash, as patterns of what is listed do.
    pub(super) fn is_folder(&self) -> bool {
        matches!(self.parts.last(), Some(Part::Literal(last)) if last.is_empty())
    }

    /// How well it fits; `None`: not at all.
    pub(super) fn rank(&self, path: &str) -> Option<Rank> {
        let mut rank = 0;
        self.walk(path, |place, weight, _, _| {
            if place < RANKED_PARTS {
                rank |= weight << (62 - 2 * place);
            }
        })
        .then_some(rank)
    }

    /// What it captures of a path that it fits.
    pub(super) fn captures(&self, path: &str) -> Vec<(String, String)> {
        let mut captures = Vec::new();
        self.walk(path, |_, _, name, text| {
            if let Some(name) = name {
                captures.push((name.to_owned(), text.to_owned()));
            }
        });
        captures
    }

    /// Walks over pattern and path at once; tells of each part its place, weight, name
    /// and text. False as soon as they part, which is after some parts were told.
    pub(super) fn walk<'a>(&'a self, path: &'a str, mut tell: impl FnMut(u32, u64, Option<&'a str>, &'a str)) -> bool {
        let mut rest = Some(path);
        for (place, part) in (0..).zip(&self.parts) {
            if let Part::Rest(name) = part {
                let Some(text) = rest else { return false };
                tell(place, 1, Some(name), text);
                return true;
            }
            let Some(left) = rest else { return matches!(part, Part::Optional(_)) };
            let (segment, after) = left.split_once('/').map_or((left, None), |(segment, after)| (segment, Some(after)));
            match part {
                Part::Literal(literal) if literal == segment => tell(place, 3, None, segment),
                Part::Capture(name) if !segment.is_empty() => tell(place, 2, Some(name), segment),
                Part::Optional(name) if after.is_none() => tell(place, 2, Some(name), segment),
                _ => return false,
            }
            rest = after;
        }
        rest.is_none()
    }
}

impl Part {
    fn parse(text: &str) -> Self {
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            return Self::Literal(text.to_owned());
        };
        match (inner.strip_suffix("..."), inner.strip_suffix('?')) {
            (Some(name), _) => Self::Rest(name.to_owned()),
            (None, Some(name)) => Self::Optional(name.to_owned()),
            (None, None) => Self::Capture(inner.to_owned()),
        }
    }
}
