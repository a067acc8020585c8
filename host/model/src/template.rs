//! Templates of identity: `{{identity.entity.name}}` in a policy's path, or in what a
//! plugin asks to have expanded. Here are the grammar and the lookup of a value; whether
//! a value may stand where it would go is the caller's question, asked of each.

pub mod claims;

/// What a template may speak of: an entity and the groups it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The entity's id.
    pub id: String,
    /// The entity's name.
    pub name: String,
    /// What was written about the entity.
    pub metadata: Pairs,
    /// The entity's names in auth methods.
    pub aliases: Vec<SubjectAlias>,
    /// Groups it is in, directly or through other groups.
    pub groups: Vec<SubjectGroup>,
}

/// Texts by name.
pub type Pairs = Vec<(String, String)>;

/// An entity's name in one auth method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectAlias {
    /// The alias's id.
    pub id: String,
    /// Accessor of the auth method's mount.
    pub mount_accessor: String,
    /// The name there.
    pub name: String,
    /// What the auth method says of it.
    pub metadata: Pairs,
    /// What an operator says of it.
    pub custom_metadata: Pairs,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectGroup {
    /// The group's id.
    pub id: String,
    /// The group's name.
    pub name: String,
    /// What was written about the group.
    pub metadata: Pairs,
}

/// Why a text could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}` or the other way round: the text can never be expanded.
    #[error("unbalanced templating characters")]
    Unbalanced,
    /// It names something that this subject does not have.
    #[error("no value could be found for one of the template directives")]
    Unresolved,
    /// A value holds what would change the meaning of the text around it.
    #[error("template substitution contains forbidden value: \"{0}\"")]
    Forbidden(char),
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Whether a text has anything to expand.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains(OPEN) || text.contains(CLOSE)
}

/// Checks that every directive is opened and closed, one after the other.
///
/// # Errors
/// [`TemplateError::Unbalanced`].
pub fn check(text: &str) -> Result<(), TemplateError> {
    pieces(text).map(|_| ())
}

/// The text with a value in the place of each directive. A value is never looked at for
/// directives of its own, and none may have one of the `forbidden` characters.
///
/// # Errors
/// [`TemplateError`]. A missing value comes before a forbidden one, wherever they stand.
pub fn expand(text: &str, subject: Option<&Subject>, forbidden: &[char]) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(text.len());
    let mut refused = None;
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Directive(name) => {
                let value = subject.and_then(|subject| value(subject, name)).filter(|value| !value.is_empty());
                let value = value.ok_or(TemplateError::Unresolved)?;
                refused = refused.or_else(|| value.chars().find(|c| forbidden.contains(c)));
                out.push_str(value);
            }
        }
    }
    match refused {
        Some(character) => Err(TemplateError::Forbidden(character)),
        None => Ok(out),
    }
}

/// The text with this in the place of each directive, whatever it is about.
///
/// # Errors
/// [`TemplateError::Unbalanced`].
pub(crate) fn blanked(text: &str, blank: char) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Directive(_) => out.push(blank),
        }
    }
    Ok(out)
}

/// A stretch of a template.
enum Piece<'t> {
    Plain(&'t str),
    /// What stands between the braces, trimmed.
    Directive(&'t str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (inside, behind) = after.split_once(CLOSE).ok_or(TemplateError::Unbalanced)?;
        if before.contains(CLOSE) || inside.contains(OPEN) {
            return Err(TemplateError::Unbalanced);
        }
        pieces.push(Piece::Plain(before));
        pieces.push(Piece::Directive(inside.trim()));
        rest = behind;
    }
    if rest.contains(CLOSE) {
        return Err(TemplateError::Unbalanced);
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

/// What a directive stands for.
fn value<'s>(subject: &'s Subject, directive: &str) -> Option<&'s str> {
    let about = directive.strip_prefix("identity.")?;
    if let Some(of_entity) = about.strip_prefix("entity.") {
        return match of_entity.split_once('.') {
            None => plain_field(&subject.id, &subject.name, of_entity),
            Some(("metadata", name)) => member(&subject.metadata, name),
            Some(("aliases", rest)) => subject.aliases.iter().find_map(|alias| of_alias(alias, rest)),
            Some(_) => None,
        };
    }
    // A group's name may have dots in it; what follows it tells where it ends.
    match about.strip_prefix("groups.")?.split_once('.')? {
        ("ids", rest) => subject.groups.iter().find_map(|group| of_group(group, rest.strip_prefix(&*group.id)?)),
        ("names", rest) => subject.groups.iter().find_map(|group| of_group(group, rest.strip_prefix(&*group.name)?)),
        _ => None,
    }
}

fn of_alias<'s>(alias: &'s SubjectAlias, directive: &str) -> Option<&'s str> {
    let field = directive.strip_prefix(&*alias.mount_accessor)?.strip_prefix('.')?;
    match field.split_once('.') {
        None => plain_field(&alias.id, &alias.name, field),
        Some(("metadata", name)) => member(&alias.metadata, name),
        Some(("custom_metadata", name)) => member(&alias.custom_metadata, name),
        Some(_) => None,
    }
}

fn of_group<'s>(group: &'s SubjectGroup, field: &str) -> Option<&'s str> {
    let field = field.strip_prefix('.')?;
    match field.split_once('.') {
        None => plain_field(&group.id, &group.name, field),
        Some(("metadata", name)) => member(&group.metadata, name),
        Some(_) => None,
    }
}

fn plain_field<'s>(id: &'s str, name: &'s str, field: &str) -> Option<&'s str> {
    match field {
        "id" => Some(id),
        "name" => Some(name),
        _ => None,
    }
}

fn member<'s>(pairs: &'s Pairs, name: &str) -> Option<&'s str> {
    pairs.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests;
