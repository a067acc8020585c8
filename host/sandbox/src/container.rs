//! The form in which our own guests are embedded in the binary: native code, and what
//! was learnt of the component when it was compiled, under one checksum. It finds damage, and
//! nothing else: who can change the binary can change the checksum. A digest of megabytes of
//! code would be a quarter of a start.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::compile::{Compiled, Facts};
use crate::descriptor;
use crate::error::SandboxError;
use crate::grants::World;
use crate::sandbox::Runtime;
use crate::v1;

/// First bytes of a container; the last one is the version of its format.
const MAGIC: &[u8; 8] = b"BHPLUG\0\x03";

const SUM_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;

/// Everything but the native code, which follows it.
#[derive(Serialize, Deserialize)]
struct Header {
    engine: [u8; DIGEST_BYTES],
    sha256: String,
    world: World,
    imports: Vec<String>,
    descriptor: v1::types::Descriptor,
    code_bytes: u64,
}

/// Code out of a container whose checksum was right.
pub(crate) struct NativeCode<'a>(&'a [u8]);

impl<'a> NativeCode<'a> {
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A container that was opened.
pub(crate) struct Opened<'a> {
    pub(crate) facts: Facts,
    pub(crate) native_code: NativeCode<'a>,
}

/// Writes a container: magic, checksum of the rest, header, code.
///
/// # Errors
/// [`SandboxError::Compile`] if the code cannot be written out.
pub(crate) fn seal(runtime: &Runtime, compiled: &Compiled) -> Result<Vec<u8>, SandboxError> {
    let failed = |cause: String| SandboxError::Compile { cause };
    let code = compiled.component.serialize().map_err(|error| failed(format!("{error:#}")))?;
    let header = Header {
        engine: engine_hash(runtime),
        sha256: compiled.facts.sha256.clone(),
        world: compiled.facts.world,
        imports: compiled.facts.imports.clone(),
        descriptor: compiled.facts.described.clone(),
        code_bytes: code.len() as u64,
    };
    let mut body = postcard::to_stdvec(&header).map_err(|error| failed(error.to_string()))?;
    body.extend_from_slice(&code);
    let mut container = Vec::with_capacity(MAGIC.len() + SUM_BYTES + body.len());
    container.extend_from_slice(MAGIC);
    container.extend_from_slice(&xxh3_128(&body).to_le_bytes());
    container.append(&mut body);
    Ok(container)
}

/// Checks and takes apart a container.
///
/// # Errors
/// [`SandboxError::Container`]; [`SandboxError::Descriptor`] cannot happen to what
/// [`seal`] wrote, and is passed on.
pub(crate) fn open<'a>(runtime: &Runtime, container: &'a [u8]) -> Result<Opened<'a>, SandboxError> {
    let bad = |why| SandboxError::Container { why };
    let rest = container.strip_prefix(MAGIC).ok_or(bad("not a precompiled plugin of this version"))?;
    let (expected, body) = rest.split_first_chunk::<SUM_BYTES>().ok_or(bad("it is cut short"))?;
    if xxh3_128(body).to_le_bytes() != *expected {
        return Err(bad("its checksum is wrong: the bytes are damaged"));
    }
    let (header, code) =
        postcard::take_from_bytes::<Header>(body).map_err(|_| bad("its header is of another build"))?;
    if header.engine != engine_hash(runtime) {
        return Err(bad("compiled for another engine; build it again"));
    }
    if header.code_bytes != code.len() as u64 {
        return Err(bad("it is cut short"));
    }
    let facts = Facts {
        sha256: header.sha256,
        world: header.world,
        imports: header.imports,
        descriptor: descriptor::parse(header.descriptor.clone())?,
        described: header.descriptor,
    };
    Ok(Opened { facts, native_code: NativeCode(code) })
}

/// What the engine's code depends on: its version, target and settings.
fn engine_hash(runtime: &Runtime) -> [u8; DIGEST_BYTES] {
    struct Feed(Context);
    impl std::hash::Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut feed = Feed(Context::new(&SHA256));
    std::hash::Hash::hash(&runtime.engine.precompile_compatibility_hash(), &mut feed);
    let mut hash = [0; DIGEST_BYTES];
    hash.copy_from_slice(feed.0.finish().as_ref());
    hash
}
