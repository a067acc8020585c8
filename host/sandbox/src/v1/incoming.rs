//! What guests hand back, checked by `answer` and put into the model's types. Secret
//! bytes go into hiding before anything is checked, so that a refusal wipes them.

use bulkhead_model::plugin as model;
use bulkhead_model::reply::HiddenJson;

use super::types as wit;
use crate::answer::{self, Unsound};

pub(crate) fn error(from: wit::Error) -> model::GuestError {
    use answer::error_text;
    match from {
        wit::Error::InvalidRequest(text) => model::GuestError::InvalidRequest(error_text(text)),
        wit::Error::PermissionDenied(text) => model::GuestError::PermissionDenied(error_text(text)),
        wit::Error::NotFound => model::GuestError::NotFound,
        wit::Error::UnsupportedOperation => model::GuestError::UnsupportedOperation,
        wit::Error::PreconditionFailed(text) => model::GuestError::PreconditionFailed(error_text(text)),
        wit::Error::RateLimited(text) => model::GuestError::RateLimited(error_text(text)),
        wit::Error::Upstream(text) => model::GuestError::Upstream(error_text(text)),
        wit::Error::Unavailable(text) => model::GuestError::Unavailable(error_text(text)),
        wit::Error::Internal(text) => model::GuestError::Internal(error_text(text)),
    }
}

pub(super) fn response(from: wit::Response) -> Result<model::GuestResponse, Unsound> {
    let data = from.data.map(answer::object).transpose();
    let raw = from.raw.map(raw_body).transpose();
    let extra = extras(from.extra);
    answer::texts(&from.warnings)?;
    answer::texts(&from.errors)?;
    answer::headers(&from.headers)?;
    Ok(model::GuestResponse {
        data: data?,
        warnings: from.warnings,
        errors: from.errors,
        status: from.status.map(answer::status).transpose()?,
        headers: from.headers,
        raw: raw?,
        force_wrap: from.force_wrap,
        extra: extra?,
    })
}

fn raw_body(from: wit::RawBody) -> Result<(String, HiddenJson), Unsound> {
    let content = answer::body(from.content)?;
    answer::header_value(&from.content_type)?;
    Ok((from.content_type, content))
}

fn extras(from: Vec<(String, Vec<u8>)>) -> Result<Vec<(String, HiddenJson)>, Unsound> {
    answer::items(from.len())?;
    from.into_iter()
        .map(|(name, json)| {
            let json = answer::record(json)?;
            answer::text(&name)?;
            Ok((name, json))
        })
        .collect()
}

pub(super) fn lease_grant(from: wit::LeaseGrant) -> Result<model::LeaseGrant, Unsound> {
    let internal = answer::record(from.internal)?;
    answer::text(&from.kind)?;
    Ok(model::LeaseGrant { kind: from.kind, ttl: from.ttl, max_ttl: from.max_ttl, renewable: from.renewable, internal })
}

pub(super) fn renewal(from: wit::Renewal) -> Result<model::Renewal, Unsound> {
    let internal = from.internal.map(answer::record).transpose();
    let data = from.data.map(answer::object).transpose();
    answer::texts(&from.warnings)?;
    Ok(model::Renewal {
        ttl: from.ttl,
        max_ttl: from.max_ttl,
        internal: internal?,
        data: data?,
        warnings: from.warnings,
    })
}

pub(super) fn auth_grant(from: wit::AuthGrant) -> Result<model::AuthGrant, Unsound> {
    let internal = answer::record(from.internal)?;
    answer::items(from.group_aliases.len())?;
    answer::items(from.policies.len())?;
    answer::items(from.bound_cidrs.len())?;
    answer::text(&from.display_name)?;
    answer::pairs(&from.metadata)?;
    from.policies.iter().chain(&from.bound_cidrs).try_for_each(|text| answer::text(text))?;
    Ok(model::AuthGrant {
        alias: from.alias.map(alias).transpose()?,
        group_aliases: from.group_aliases.into_iter().map(alias).collect::<Result<_, _>>()?,
        display_name: from.display_name,
        policies: from.policies,
        no_default_policy: from.no_default_policy,
        metadata: from.metadata,
        ttl: from.ttl,
        max_ttl: from.max_ttl,
        explicit_max_ttl: from.explicit_max_ttl,
        period: from.period,
        num_uses: from.num_uses,
        token_type: match from.token_type {
            wit::TokenType::Default => model::TokenType::Default,
            wit::TokenType::Service => model::TokenType::Service,
            wit::TokenType::Batch => model::TokenType::Batch,
        },
        bound_cidrs: from.bound_cidrs,
        renewable: from.renewable,
        internal,
    })
}

fn alias(from: wit::Alias) -> Result<model::Alias, Unsound> {
    answer::text(&from.name)?;
    answer::pairs(&from.metadata)?;
    Ok(model::Alias { name: from.name, metadata: from.metadata })
}

impl From<wit::Operation> for model::Operation {
    fn from(from: wit::Operation) -> Self {
        match from {
            wit::Operation::Create => Self::Create,
            wit::Operation::Read => Self::Read,
            wit::Operation::Update => Self::Update,
            wit::Operation::Patch => Self::Patch,
            wit::Operation::Delete => Self::Delete,
            wit::Operation::List => Self::List,
            wit::Operation::Scan => Self::Scan,
            wit::Operation::Header => Self::Header,
            wit::Operation::AliasLookahead => Self::AliasLookahead,
            wit::Operation::ResolveRole => Self::ResolveRole,
        }
    }
}

impl From<wit::FieldKind> for model::FieldKind {
    fn from(from: wit::FieldKind) -> Self {
        match from {
            wit::FieldKind::Text => Self::Text,
            wit::FieldKind::LowercaseText => Self::LowercaseText,
            wit::FieldKind::Name => Self::Name,
            wit::FieldKind::Integer => Self::Integer,
            wit::FieldKind::Boolean => Self::Boolean,
            wit::FieldKind::Float => Self::Float,
            wit::FieldKind::Duration => Self::Duration,
            wit::FieldKind::SignedDuration => Self::SignedDuration,
            wit::FieldKind::Time => Self::Time,
            wit::FieldKind::AnyMap => Self::AnyMap,
            wit::FieldKind::StringMap => Self::StringMap,
            wit::FieldKind::AnyList => Self::AnyList,
            wit::FieldKind::StringList => Self::StringList,
            wit::FieldKind::CommaStringList => Self::CommaStringList,
            wit::FieldKind::CommaIntegerList => Self::CommaIntegerList,
            wit::FieldKind::HeaderMap => Self::HeaderMap,
            wit::FieldKind::Any => Self::Any,
        }
    }
}
