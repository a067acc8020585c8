//! What can be seen of a component without compiling it: is it one, what does it
//! import and export, how big is it. Reads names and counts, never code.

use wasmparser::{Encoding, Parser, Payload};

use crate::error::SandboxError;
use crate::limits::ComponentLimits;

/// Deepest nesting of modules and components. Source: ours; tools nest two deep.
const NESTING_MAX: u32 = 8;

/// Nested modules and components in all. Source: ours; tools make four.
const NESTED_MAX: u32 = 64;

/// Imports and exports of a component, by full name.
#[derive(Debug, Default)]
pub(crate) struct Surface {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

#[derive(Default)]
struct Counts {
    depth: u32,
    nested: u32,
    functions: u32,
}

impl Surface {
    /// # Errors
    /// [`SandboxError::TooLarge`] or [`SandboxError::NotAPlugin`].
    pub(crate) fn read(wasm: &[u8], limits: &ComponentLimits) -> Result<Self, SandboxError> {
        if wasm.len() > limits.wasm_bytes {
            return Err(SandboxError::TooLarge { bytes: wasm.len(), limit: limits.wasm_bytes });
        }
        if !wasm.starts_with(b"\0asm") {
            return Err(not_a_plugin(r"it is not WebAssembly, which begins with \0asm".to_owned()));
        }
        let mut surface = Self::default();
        let mut counts = Counts::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(|error| not_a_plugin(format!("it is not WebAssembly ({error})")))?;
            surface.take_in(&payload, &mut counts, limits)?;
        }
        Ok(surface)
    }

    fn take_in(
        &mut self,
        payload: &Payload<'_>,
        counts: &mut Counts,
        limits: &ComponentLimits,
    ) -> Result<(), SandboxError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if counts.depth == 0 => {
                return Err(not_a_plugin("it is a core module; plugins are components".to_owned()));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                counts.depth += 1;
                counts.nested += 1;
            }
            Payload::End(_) => counts.depth = counts.depth.saturating_sub(1),
            Payload::FunctionSection(section) => counts.functions = counts.functions.saturating_add(section.count()),
            Payload::ComponentImportSection(section) if counts.depth == 0 => {
                for import in section.clone() {
                    let import = import.map_err(|error| not_a_plugin(error.to_string()))?;
                    self.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if counts.depth == 0 => {
                for export in section.clone() {
                    let export = export.map_err(|error| not_a_plugin(error.to_string()))?;
                    self.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
        counts.check(limits)
    }
}

impl Counts {
    fn check(&self, limits: &ComponentLimits) -> Result<(), SandboxError> {
        let over = [
            ("nesting levels", self.depth, NESTING_MAX),
            ("nested modules and components", self.nested, NESTED_MAX),
            ("functions", self.functions, limits.functions),
        ];
        match over.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => {
                Err(not_a_plugin(format!("it has {count} {what}, over the limit of {limit}")))
            }
            None => Ok(()),
        }
    }
}

fn not_a_plugin(why: String) -> SandboxError {
    SandboxError::NotAPlugin { why }
}
