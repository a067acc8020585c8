//! Help texts of routes.

pub(crate) const CONNECTION: &str = "Name of this database connection";
pub(crate) const DRIVER: &str = "The name of a driver";
pub(crate) const ROLE: &str = "Name of the role.";
pub(crate) const STATIC_ROLE: &str = "Name of the static role";

pub(crate) const CONFIG: &str = "Configure connection details to a database plugin.";
pub(crate) const CONFIG_MORE: &str = "A connection names a driver and says how it reaches the database. What is not a field of this path \
is for the driver: which it knows is in its own documentation. What is secret is never read back.";

pub(crate) const RESET: &str = "Resets a database plugin.";
pub(crate) const RELOAD: &str = "Resets all connections that have this database plugin.";
pub(crate) const ROTATE_ROOT: &str = "Request to rotate the root credentials for a certain database connection.";

pub(crate) const ROLES: &str = "Manage the roles that can be created with this backend.";
pub(crate) const ROLES_MORE: &str = "A role says by which statements of the database a user is made, prolonged and removed, and how long \
it lives. In statements, {{name}} is the user's name, {{password}} its password and {{expiration}} the time of its end.";

pub(crate) const CREDS: &str = "Request database credentials for a certain role.";
pub(crate) const CREDS_MORE: &str =
    "Each answer is another user of the database, under a lease of its own. The user is removed when that ends.";

pub(crate) const STATIC_ROLES: &str = "Manage the static roles that can be created with this backend.";
pub(crate) const STATIC_ROLES_MORE: &str = "A static role stands for a user that the database has already. From then on its password is known \
here alone, and is changed after each rotation_period, or at the times of rotation_schedule.";
pub(crate) const STATIC_CREDS: &str =
    "Request database credentials for a certain static role. These credentials are rotated periodically.";
pub(crate) const ROTATE_ROLE: &str = "Request to rotate the credentials for a static user account.";
