//! `users/:username/policies`: the policies alone.

use bulkhead_sdk::names;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::take_former;

use crate::records::{self, UserName};

/// New policies; without either name nothing changes.
#[derive(Debug, Fields)]
pub(crate) struct NewPolicies {
    /// Use "token_policies" instead. If both are sent, only "token_policies" counts.
    #[field(deprecated)]
    policies: Option<Vec<String>>,
    /// Policies of the tokens, as a list or separated by commas.
    token_policies: Option<Vec<String>>,
}

pub(crate) fn replace(cx: &Cx, name: &UserName, sent: NewPolicies) -> Result<()> {
    let mut user = records::known(cx, name)?;
    let mut policies = sent.token_policies;
    user.former.policies = take_former(&mut policies, sent.policies, user.former.policies);
    if let Some(policies) = policies {
        user.tokens.policies = names::policies(&policies);
        names::carried("policies", &user.tokens.policies)?;
    }
    cx.put(&name.0, &user)
}
