//! What can go wrong before a guest is called. What goes wrong in a call is a
//! `CallFailure` of the model.

/// Why a sandbox could not be made, or a component not taken in. Each text is meant
/// for the operator who registers the component.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine could not be set up: limits that cannot be, or no address space.
    #[error("setting up the WebAssembly engine: {cause}")]
    Engine {
        /// What wasmtime said.
        cause: String,
    },
    /// The component's bytes are over the limit.
    #[error("the component is {bytes} bytes, over the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not something we run at all.
    #[error("not a plugin: {why}")]
    NotAPlugin {
        /// A sentence naming what is wrong.
        why: String,
    },
    /// A component of ours, but for another version of the plugin API.
    #[error("built for plugin API {built_for}, this server offers up to {offered}")]
    ApiVersion {
        /// Version it imports or exports.
        built_for: String,
        /// Version this build offers.
        offered: String,
    },
    /// It asks for something that cannot be given.
    #[error("the component imports {import}: {why}")]
    Import {
        /// The interface.
        import: String,
        /// Why not.
        why: &'static str,
    },
    /// It does not compile, or not against our interfaces.
    #[error("compiling the component: {cause}")]
    Compile {
        /// What wasmtime said.
        cause: String,
    },
    /// `metadata.describe` trapped, took too long, or called an import.
    #[error("asking the component to describe itself: {cause}")]
    Describe {
        /// What happened.
        cause: String,
    },
    /// What it says about itself cannot be.
    #[error("the component's description: {why}")]
    Descriptor {
        /// What is wrong, and where.
        why: String,
    },
    /// A precompiled container is damaged or of another build.
    #[error("precompiled plugin: {why}")]
    Container {
        /// What is wrong.
        why: &'static str,
    },
}
