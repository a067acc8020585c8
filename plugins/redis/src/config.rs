//! A config, in the words of OpenBao's plugins for Redis and Valkey.

use bulkhead_sdk::driver::{Hush, Settings, UserSpec};
use bulkhead_sdk::net::{Pool, Tls, Verification};
use bulkhead_sdk::template::Template;
use bulkhead_sdk::{Cx, Error, Result, Secret};

use crate::address::{Address, DEFAULT_ACCOUNT};

/// How a name is made where the config does not say.
const USERNAME_TEMPLATE: &str = r#"{{ printf "v_%s_%s_%s_%s" (.DisplayName | truncate 64) (.RoleName | truncate 64) (random 20) (unix_time) | replace "__" "_" | truncate 160 | uppercase }}"#;

/// A config that was understood.
#[derive(Debug)]
pub(crate) struct Config {
    /// As errors call it.
    pub(crate) place: String,
    pub(crate) username: String,
    pub(crate) password: Secret<String>,
    pub(crate) tls: Option<Tls>,
    template: Template,
    /// What must not be told.
    pub(crate) hush: Hush,
    /// Where its sessions wait.
    pub(crate) pool: Pool,
}

impl Config {
    /// Understands a config.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is wrong with it.
    pub(crate) fn read(cx: &Cx, settings: &Settings) -> Result<Self> {
        let Address { place, username, password, has_tls } = Address::read(settings)?;
        let mut hush = Hush::default();
        hush.add(password.expose());
        Ok(Self {
            place,
            tls: if has_tls { Some(tls(settings)?) } else { None },
            template: template(&settings.text("username_template")?)?,
            username,
            password,
            hush,
            pool: Pool::of(cx, "redis", settings)?,
        })
    }

    /// Whether the template makes names.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check_template(&self, cx: &Cx) -> Result<()> {
        let made = self.template.render(cx, &[("DisplayName", ""), ("RoleName", "")]);
        made.map(|_| ()).map_err(|error| error.within("invalid username template"))
    }

    /// The name of a user that is to be made.
    ///
    /// # Errors
    /// The template makes none.
    pub(crate) fn username(&self, cx: &Cx, spec: &UserSpec) -> Result<String> {
        let own = spec.username_template.as_deref().filter(|text| !text.is_empty()).map(template).transpose()?;
        // A name of the server has neither spaces nor a byte 0, but what a user is called elsewhere may.
        let plain = |text: &str| text.replace(|c: char| c.is_whitespace() || c == '\0', "_");
        let (display, role) = (plain(&spec.display_name), plain(&spec.role_name));
        let data = [("DisplayName", display.as_str()), ("RoleName", role.as_str())];
        let name = own.as_ref().unwrap_or(&self.template).render(cx, &data)?;
        self.check_name(&name).map(|()| name)
    }

    /// Whether an account of this name may be made or removed: not those that the server and this
    /// config cannot be without.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn check_name(&self, name: &str) -> Result<()> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '\0') {
            return Err(Error::invalid("a username is not empty and has neither spaces nor a byte 0"));
        }
        if name == DEFAULT_ACCOUNT || name == self.username {
            return Err(Error::invalid("the account of the config and the server's own are not made or removed"));
        }
        Ok(())
    }
}

fn template(text: &str) -> Result<Template> {
    let text = if text.is_empty() { USERNAME_TEMPLATE } else { text };
    Template::parse(text).map_err(|error| error.within("unable to initialize username template"))
}

fn tls(settings: &Settings) -> Result<Tls> {
    let verification = if settings.flag("insecure_tls")? { Verification::Insecure } else { Verification::Full };
    let roots_pem = Some(settings.text("ca_cert")?).filter(|pem| !pem.is_empty());
    Ok(Tls { server_name: None, roots_pem, verification, client: None })
}
