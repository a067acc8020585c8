//! What the server brings: plugins, and what goes with some of them because of what their users know them
//! as. Which these are is the server's; here is what follows.

use std::sync::Arc;

use bulkhead_model::framework::RouteTable;
use bulkhead_model::plugin::PluginKind;
use bulkhead_model::seam::plugin::Plugin;

use crate::book::mounts::Plugins;

/// The plugins of a server.
pub struct Brought {
    /// Their components. One that has the name of one before takes its place.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// What goes with some of them.
    pub outfits: &'static [Outfit],
}

/// What goes with a plugin that the server brings, besides what it says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Outfit {
    /// Of which kind it is.
    pub kind: PluginKind,
    /// What it is called.
    pub name: &'static str,
    /// Further names under which it is found.
    pub aliases: &'static [&'static str],
    /// What each of its mounts is granted from the start.
    pub grants: &'static [&'static str],
    /// And those of the root namespace besides.
    pub grants_in_root: &'static [&'static str],
}

impl From<Vec<Arc<dyn Plugin>>> for Brought {
    fn from(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        Self { plugins, outfits: &[] }
    }
}

impl Brought {
    /// By kind and name, under each name that they have.
    pub(crate) fn by_name(&self) -> Plugins {
        let mut plugins = Plugins::new();
        for plugin in &self.plugins {
            let about = plugin.descriptor();
            let served = (plugin.clone(), Arc::new(RouteTable::new(&about.routes)));
            let aliases = outfit(self.outfits, plugin.kind(), &about.name).map_or(&[][..], |outfit| outfit.aliases);
            for name in aliases.iter().copied().chain([about.name.as_str()]) {
                plugins.insert((plugin.kind(), name.to_owned()), served.clone());
            }
        }
        plugins
    }
}

/// What goes with the plugin of this kind and name.
pub(crate) fn outfit<'o>(outfits: &'o [Outfit], kind: PluginKind, name: &str) -> Option<&'o Outfit> {
    outfits.iter().find(|outfit| outfit.kind == kind && outfit.name == name)
}
