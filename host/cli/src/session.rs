//! One run of one command: its flags and arguments, the client it may ask for, and how
//! it shows results. Commands decide; this carries out.

use bulkhead_model::hidden::Hidden;
use serde_json::{Map, Value};

use crate::client::{Client, ClientError, Secret, Settings};
use crate::env::Environment;
use crate::fault::Fault;
use crate::flags::Parsed;
use crate::output::{Format, json, sorted, table, yaml};
use crate::pairs::PairError;
use crate::span::Span;
use crate::terminal::Terminal;
use crate::token_file::TokenFile;
use crate::token_helper::Helper;
use crate::wrap::wrap_padded;

mod columns;

/// A command's surroundings.
pub(crate) struct Session {
    /// Flags and arguments.
    pub(crate) flags: Parsed,
    /// How to print.
    pub(crate) format: Format,
    /// Whether lists show what the server knows about their entries.
    pub(crate) is_detailed: bool,
    /// Settings.
    pub(crate) env: Environment,
    /// Where output goes.
    pub(crate) terminal: Terminal,
}

impl Session {
    /// What follows the flags.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.flags.arguments
    }

    /// All arguments, if there are exactly `count` of them.
    ///
    /// # Errors
    /// [`Fault::Usage`].
    pub(crate) fn exactly(&self, count: usize) -> Result<&[String], Fault> {
        let arguments = self.at_most(count)?;
        if arguments.len() < count {
            return Err(Fault::Usage(format!("Not enough arguments (expected {count}, got {})", arguments.len())));
        }
        Ok(arguments)
    }

    /// All arguments, if there are no more than `count`.
    ///
    /// # Errors
    /// [`Fault::Usage`].
    pub(crate) fn at_most(&self, count: usize) -> Result<&[String], Fault> {
        let arguments = self.arguments();
        if arguments.len() > count {
            return Err(Fault::Usage(format!("Too many arguments (expected {count}, got {})", arguments.len())));
        }
        Ok(arguments)
    }

    /// The one argument.
    ///
    /// # Errors
    /// [`Fault::Usage`].
    pub(crate) fn one(&self) -> Result<&str, Fault> {
        Ok(&self.exactly(1)?[0])
    }

    /// Runs a K=V parser over the arguments behind the first.
    ///
    /// # Errors
    /// [`Fault::Local`], with `what` in front.
    pub(crate) fn data<T>(
        &self,
        what: &str,
        parse: impl FnOnce(&[String], &mut dyn std::io::Read) -> Result<T, PairError>,
    ) -> Result<T, Fault> {
        let words = self.arguments().get(1..).unwrap_or_default();
        let mut stdin = self.terminal.stdin(self.flags.switch("non-interactive"));
        parse(words, &mut stdin).map_err(|error| Fault::Local(format!("{what}: {error}")))
    }

    /// A client with the token of the environment, else of the token helper or file.
    ///
    /// # Errors
    /// Settings that cannot be used, or a token helper or file that cannot be asked.
    pub(crate) fn client(&self) -> Result<Client, Fault> {
        let token = self.token()?.unwrap_or_else(|| Hidden::new(String::new()));
        Ok(Client::new(self.settings()?, token)?)
    }

    /// A client without a token, for logins.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub(crate) fn client_without_token(&self) -> Result<Client, Fault> {
        Ok(Client::new(self.settings()?, Hidden::new(String::new()))?)
    }

    fn settings(&self) -> Result<Settings, Fault> {
        Ok(Settings::read(&self.flags, &self.env)?)
    }

    /// The token that commands use.
    ///
    /// # Errors
    /// A token helper or file that cannot be asked.
    pub(crate) fn token(&self) -> Result<Option<Hidden<String>>, Fault> {
        if let Some(token) = self.env.setting("TOKEN") {
            return Ok(Some(Hidden::new(token.to_owned())));
        }
        let failed = |what: &str, error: std::io::Error| Fault::from(ClientError::Settings(format!("{what}: {error}")));
        let helper = Helper::of(&self.env).map_err(|error| failed("failed to get token helper", error))?;
        let kept = match (helper, TokenFile::of(&self.env)) {
            (Some(helper), _) => helper.load(),
            (None, Ok(file)) => file.load(),
            // Without a home there is no file, and many commands do without a token.
            (None, Err(_)) => return Ok(None),
        };
        kept.map_err(|error| failed("failed to get token from token helper", error))
    }

    /// Whether people read the result.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// A line that only people need; scripts that asked for JSON or YAML get nothing.
    pub(crate) fn tell(&self, text: &str) {
        if self.is_table() {
            self.terminal.out(text);
        }
    }

    /// What a write answered, if anything: shown, or one field of it.
    ///
    /// # Errors
    /// As [`Session::show_secret`].
    pub(crate) fn show_answer(&self, secret: Option<Secret>, if_none: &str) -> Result<u8, Fault> {
        match secret {
            None => self.tell(if_none),
            Some(secret) => return self.show(&secret),
        }
        Ok(0)
    }

    /// A secret, or the one field of it that `-field` names.
    ///
    /// # Errors
    /// As [`Session::show_secret`].
    pub(crate) fn show(&self, secret: &Secret) -> Result<u8, Fault> {
        match self.flags.text("field") {
            Some(field) => self.show_secret_field(secret, field),
            None => self.show_secret(secret),
        }
    }

    /// A whole secret.
    ///
    /// # Errors
    /// A format it cannot be printed in.
    pub(crate) fn show_secret(&self, secret: &Secret) -> Result<u8, Fault> {
        if self.is_table() {
            self.show_warnings(secret);
            if let Some(text) = table::key_value(&columns::of_secret(secret)) {
                self.terminal.out(&text);
            }
            return Ok(0);
        }
        self.show_value(&secret.to_value())
    }

    /// Any value; tables are for objects alone.
    ///
    /// # Errors
    /// A format it cannot be printed in.
    pub(crate) fn show_value(&self, value: &Value) -> Result<u8, Fault> {
        match (self.format, value) {
            (Format::Table, Value::Object(map)) => self.show_map(map),
            _ => self.terminal.out(self.formatted(value)?.trim_end_matches('\n')),
        }
        Ok(0)
    }

    fn show_map(&self, map: &Map<String, Value>) {
        if let Some(text) = table::key_value(&table::object_rows(map)) {
            self.terminal.out(&text);
        }
    }

    /// JSON or YAML.
    fn formatted(&self, value: &Value) -> Result<String, Fault> {
        let refused = |why: &str| Err(Fault::Local(format!("Could not parse output: {why}")));
        match self.format {
            Format::Json => Ok(json::pretty(value)),
            Format::Yaml => Ok(yaml::document(&sorted(value))),
            Format::Table => refused("cannot use the table formatter for this type"),
            Format::Pretty => refused("cannot use the pretty formatter for this type"),
            Format::Raw => refused("This command does not support the -format=raw option; only `bulkhead read` does."),
        }
    }

    /// One field of a secret, bare.
    ///
    /// # Errors
    /// There is no such field.
    pub(crate) fn show_secret_field(&self, secret: &Secret, field: &str) -> Result<u8, Fault> {
        let value = secret.field(field).ok_or_else(|| missing_field(field, "secret"))?;
        if self.is_table() {
            self.show_warnings(secret);
        }
        self.show_bare(&value)
    }

    /// One field of an object, bare.
    ///
    /// # Errors
    /// There is no such field.
    pub(crate) fn show_map_field(&self, map: &Map<String, Value>, field: &str, kind: &str) -> Result<u8, Fault> {
        let value = map.get(field).filter(|value| !value.is_null()).ok_or_else(|| missing_field(field, kind))?;
        self.show_bare(value)
    }

    fn show_bare(&self, value: &Value) -> Result<u8, Fault> {
        match self.format {
            Format::Table | Format::Raw => self.terminal.out_bare(&table::plain(value)),
            _ => self.terminal.out_bare(&self.formatted(&sorted(value))?),
        }
        Ok(0)
    }

    /// A list's answer: the keys, and with `-detailed` what belongs to them.
    ///
    /// # Errors
    /// A format it cannot be printed in.
    pub(crate) fn show_list(&self, secret: &Secret, keys: &[Value]) -> Result<u8, Fault> {
        if !self.is_table() {
            let whole = self.is_detailed && self.format == Format::Json;
            return if whole {
                self.show_value(&secret.to_value())
            } else {
                self.show_value(&Value::Array(keys.to_vec()))
            };
        }
        self.show_warnings(secret);
        let details = secret.get("key_info").and_then(Value::as_object).filter(|_| self.is_detailed);
        if let Some(text) = columns::of_list(keys, details)? {
            self.terminal.out(&text);
        }
        Ok(0)
    }

    /// What the server wants the user to know.
    pub(crate) fn show_warnings(&self, secret: &Secret) {
        warn_of(&self.terminal, &secret.warnings);
    }

    /// A duration flag as the API takes it: empty for "leave it", `system` for below zero.
    pub(crate) fn ttl(&self, flag: &str) -> String {
        match self.flags.span(flag) {
            None => String::new(),
            Some(ttl) if ttl.is_zero() => String::new(),
            Some(ttl) if ttl.is_negative() => "system".to_owned(),
            Some(ttl) => ttl.to_string(),
        }
    }

    /// A duration flag in Go's notation; `0s` if it is not given.
    pub(crate) fn span(&self, flag: &str) -> String {
        self.flags.span(flag).unwrap_or(Span::of_secs(0)).to_string()
    }
}

/// Shows what a server warns of.
pub(crate) fn warn_of(terminal: &Terminal, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    terminal.warn("WARNING! The following warnings were returned from Bulkhead:\n");
    for warning in warnings {
        terminal.warn(&wrap_padded(&format!("* {warning}"), 2));
        terminal.warn("");
    }
}

fn missing_field(field: &str, kind: &str) -> Fault {
    Fault::Local(format!("Field {field:?} not present in {kind}"))
}
