//! Help texts of routes.

pub(crate) const NAME: &str = "Name of the role.";

pub(crate) const ROLES: &str = "Lists all the roles registered with the backend.";

pub(crate) const ROLE: &str = "Register a role with the backend.";
pub(crate) const ROLE_MORE: &str = "A role stands for an application, a machine or whatever else logs in by itself. It says which \
policies and lifetimes tokens of its logins have, and what a login must bring: a secret id, or an address in some networks. Each \
setting has a path of its own below the role as well.";

pub(crate) const SECRET_ID: &str = "Generate a secret id for the role, or list the accessors of those there are.";
