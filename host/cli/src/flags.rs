//! Flags in Go's manner, which every existing script relies on: one dash or two,
//! `-name=value` or `-name value`, switches only with `=`, and the first word that is
//! not a flag ends them. clap knows long options only with two dashes and reads
//! flags behind the arguments too, so it would read the same line differently.

mod global;
mod parse;

pub(crate) use global::{DETAILED, FIELD, FORMAT, HTTP};
pub(crate) use parse::{Parsed, parse, parse_bool};

/// What follows a flag's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing, or `=true` / `=false`.
    Switch,
    /// Any text; the last one given counts.
    Text,
    /// A whole number.
    Int,
    /// A duration such as `30s`, or `system`.
    Span,
    /// Any text; all that are given count.
    List,
    /// `key=value`; all that are given count.
    Pairs,
}

/// One flag of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its name, without dashes.
    pub(crate) name: &'static str,
    /// A second, shorter name.
    pub(crate) alias: Option<&'static str>,
    /// What follows the name.
    pub(crate) takes: Takes,
    /// What it does, in one or two sentences.
    pub(crate) help: &'static str,
    /// The setting (without prefix) that stands in for it when it is not given.
    pub(crate) env: Option<&'static str>,
}

impl Flag {
    /// A flag that takes nothing.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Switch, help)
    }

    /// A flag that takes text.
    pub(crate) const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Text, help)
    }

    /// A flag that takes a whole number.
    pub(crate) const fn int(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Int, help)
    }

    /// A flag that takes a duration.
    pub(crate) const fn span(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Span, help)
    }

    /// A flag that may be given many times.
    pub(crate) const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::List, help)
    }

    /// A flag that takes `key=value` and may be given many times.
    pub(crate) const fn pairs(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Takes::Pairs, help)
    }

    /// The same flag with a short name.
    pub(crate) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// The same flag with a setting to fall back on.
    pub(crate) const fn env(mut self, setting: &'static str) -> Self {
        self.env = Some(setting);
        self
    }

    const fn new(name: &'static str, takes: Takes, help: &'static str) -> Self {
        Self { name, alias: None, takes, help, env: None }
    }

    /// How help shows what follows the name.
    pub(crate) fn example(&self) -> &'static str {
        match self.takes {
            Takes::Switch => "",
            Takes::Text | Takes::List => "=<string>",
            Takes::Int => "=<int>",
            Takes::Span => "=<duration>",
            Takes::Pairs => "=<key=value>",
        }
    }
}

#[cfg(test)]
mod tests;
