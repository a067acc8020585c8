//! The host's functions over a [`World`], module by module as in the WIT.

use std::cell::RefCell;

use super::world::World;

thread_local! {
    /// The world of the call that runs on this thread.
    static CURRENT: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Runs a call in a world.
pub(crate) fn with<R>(world: &mut World, call: impl FnOnce() -> R) -> R {
    let placeholder = World::new(0);
    let taken = std::mem::replace(world, placeholder);
    CURRENT.with(|current| *current.borrow_mut() = Some(taken));
    let result = call();
    *world = CURRENT.with(|current| current.borrow_mut().take()).expect("put there above");
    result
}

fn current<R>(act: impl FnOnce(&mut World) -> R) -> R {
    CURRENT.with(|current| act(current.borrow_mut().as_mut().expect("handlers run within a bench")))
}

/// `system`.
pub(crate) mod system {
    use super::current;
    use crate::bench::LogLine;
    use crate::bindings::mounted::bulkhead::plugin::system::{Level, Mount};

    pub(crate) fn now() -> u64 {
        current(|world| world.now_ms)
    }

    pub(crate) fn mount_info() -> Mount {
        current(|world| world.mount.clone())
    }

    pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
        current(|world| world.log.push(LogLine { level, message: message.to_owned(), fields: fields.to_vec() }));
    }

    pub(crate) fn generate_password(policy: Option<&str>) -> Result<String, String> {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        current(|world| {
            let length = match policy {
                None => 20,
                Some(name) => *world.password_policies.get(name).ok_or_else(|| format!("no password policy {name}"))?,
            };
            Ok((0..length).map(|_| char::from(LETTERS[usize::from(world.random_byte()) % LETTERS.len()])).collect())
        })
    }

    pub(crate) fn wrap(data: &[u8], ttl: u64) -> Result<String, String> {
        let id = super::digest::uuid();
        current(|world| {
            let token = format!("s.{id}");
            world.state.wrapped.insert(token.clone(), (data.to_vec(), world.now_ms + ttl * 1000));
            Ok(token)
        })
    }
}

/// `digest`.
pub(crate) mod digest {
    use super::current;
    use crate::bench::digest::{self as bench, Algorithm};

    pub(crate) fn random(len: u32) -> Vec<u8> {
        current(|world| (0..len).map(|_| world.random_byte()).collect())
    }

    pub(crate) fn uuid() -> String {
        let mut digits: Vec<u8> = random(16).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
        (digits[12], digits[16]) = (b'4', b'8');
        let text = String::from_utf8(digits).expect("digits are ASCII");
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }

    pub(crate) fn hash(algorithm: &str, data: &[u8]) -> Result<Vec<u8>, String> {
        Ok(Algorithm::named(algorithm)?.hash(data))
    }

    pub(crate) fn hmac(algorithm: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>, String> {
        Ok(Algorithm::named(algorithm)?.hmac(key, data))
    }

    pub(crate) fn hkdf(algorithm: &str, secret: &[u8], salt: &[u8], info: &[u8], len: u32) -> Result<Vec<u8>, String> {
        Algorithm::named(algorithm)?.hkdf(secret, salt, info, len as usize)
    }

    pub(crate) fn pbkdf2(
        algorithm: &str,
        password: &[u8],
        salt: &[u8],
        rounds: u32,
        len: u32,
    ) -> Result<Vec<u8>, String> {
        Algorithm::named(algorithm)?.pbkdf2(password, salt, rounds, len as usize)
    }

    pub(crate) fn password_hash(scheme: &str, password: &[u8]) -> Result<String, String> {
        let hash = bench::password_hash(scheme, password, &random(16))?;
        worked(&hash);
        Ok(hash)
    }

    pub(crate) fn password_verify(hash: &str, password: &[u8]) -> Result<bool, String> {
        let matches = bench::password_verify(hash, password)?;
        worked(hash);
        Ok(matches)
    }

    fn worked(hash: &str) {
        current(|world| world.password_work.push(bench::costs(hash).to_owned()));
    }

    pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
        a == b
    }
}

/// `storage`.
pub(crate) mod storage {
    use super::current;
    use crate::bench::world::World;
    use crate::bindings::mounted::bulkhead::plugin::storage::{Error, Page};

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        current(|world| {
            world.gets += 1;
            Ok(world.state.store.get(key).cloned())
        })
    }

    pub(crate) fn put(key: &str, value: &[u8]) -> Result<(), Error> {
        const VALUE_BYTES_MAX: u64 = 1024 * 1024;
        if value.len() as u64 > VALUE_BYTES_MAX {
            return Err(Error::TooLarge(VALUE_BYTES_MAX));
        }
        check(key)?;
        current(|world| {
            world.state.store.insert(key.to_owned(), value.to_vec());
            world.touch(key);
        });
        Ok(())
    }

    pub(crate) fn delete(key: &str) -> Result<(), Error> {
        current(|world| {
            world.state.store.remove(key);
            world.touch(key);
        });
        Ok(())
    }

    /// The handle of a lock, which is held to the call's end as on the host.
    #[derive(Debug)]
    pub(crate) struct Lock;

    pub(crate) fn acquire(name: &str, _timeout_ms: u32) -> Result<Lock, Error> {
        current(|world| {
            let free = !world.locks_of_others.contains(name) && world.locks.insert(name.to_owned());
            if free { Ok(Lock) } else { Err(Error::Backend("the lock is taken".to_owned())) }
        })
    }

    /// The host refuses such keys, so the bench does.
    fn check(key: &str) -> Result<(), Error> {
        let wrong =
            key.is_empty() || key.split('/').any(|segment| segment.is_empty() || segment == "." || segment == "..");
        if wrong { Err(Error::Denied(format!("not a storage key: {key:?}"))) } else { Ok(()) }
    }

    pub(crate) fn list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        current(|world| {
            let mut names: Vec<String> = below(world, prefix).map(|rest| first_segment(rest).to_owned()).collect();
            names.sort();
            names.dedup();
            let begin = after.map_or(0, |after| names.partition_point(|name| name.as_str() <= after));
            Ok(page(names.into_iter().skip(begin), limit))
        })
    }

    /// Backwards: the host promises depth first and no other order, and a guest that
    /// counts on more is to fail here.
    pub(crate) fn scan(prefix: &str, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        current(|world| {
            let mut names: Vec<String> = below(world, prefix).map(str::to_owned).collect();
            names.sort_by(|a, b| b.split('/').cmp(a.split('/')));
            let is_passed = |name: &String| after.is_some_and(|after| name.split('/').ge(after.split('/')));
            let begin = names.partition_point(is_passed);
            Ok(page(names.into_iter().skip(begin), limit))
        })
    }

    fn below<'a>(world: &'a World, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        world.state.store.keys().filter_map(move |key| key.strip_prefix(prefix))
    }

    /// The name directly below; a folder keeps its slash.
    fn first_segment(rest: &str) -> &str {
        rest.find('/').map_or(rest, |slash| &rest[..=slash])
    }

    fn page(mut names: impl Iterator<Item = String>, limit: u32) -> Page {
        let keys: Vec<String> = names.by_ref().take(limit as usize).collect();
        let next = keys.last().cloned().filter(|_| names.next().is_some());
        Page { keys, next }
    }
}

/// `cache`.
pub(crate) mod cache {
    use super::current;
    use crate::bench::world::Remembered;

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        current(|world| {
            let kept = world.cache.get(key).filter(|kept| world.now_ms < kept.ends_ms);
            kept.map(|kept| kept.value.clone())
        })
    }

    pub(crate) fn put(key: &str, value: &[u8], ttl: u64, depends_on: &[String]) {
        current(|world| {
            let ends_ms = world.now_ms.saturating_add(ttl.saturating_mul(1000));
            let kept = Remembered { value: value.to_vec(), ends_ms, depends_on: depends_on.to_vec() };
            world.cache.insert(key.to_owned(), kept);
        });
    }

    pub(crate) fn remove(key: &str) {
        current(|world| world.cache.remove(key));
    }
}

/// `effects`.
pub(crate) mod effects {
    use super::current;
    use crate::bench::world::Job;

    pub(crate) fn intend(kind: &str, data: &[u8]) -> Result<String, String> {
        let id = super::digest::uuid();
        current(|world| {
            // Counted first, so that they are kept in their order.
            let id = format!("{:08}-{id}", world.intents_made);
            world.intents_made += 1;
            world.intents.insert(id.clone(), (kind.to_owned(), data.to_vec()));
            world.intended.push(id.clone());
            Ok(id)
        })
    }

    pub(crate) fn resolve(id: &str) {
        current(|world| world.state.resolved.insert(id.to_owned()));
    }

    pub(crate) fn schedule(job: &str, key: &str, payload: &[u8], at: u64) -> Result<(), String> {
        let entry = Job { at, payload: payload.to_vec() };
        current(|world| world.state.jobs.insert((job.to_owned(), key.to_owned()), entry));
        Ok(())
    }

    pub(crate) fn cancel(job: &str, key: &str) {
        current(|world| world.state.jobs.remove(&(job.to_owned(), key.to_owned())));
    }
}

/// `identity`.
pub(crate) mod identity {
    use super::current;
    use crate::bench::world::World;
    use crate::bindings::mounted::bulkhead::plugin::identity::{Entity, Group};

    pub(crate) fn lookup(entity_id: &str) -> Option<Entity> {
        current(|world| world.entities.iter().find(|entity| entity.id == entity_id).cloned())
    }

    pub(crate) fn groups(entity_id: &str) -> Vec<Group> {
        let is_member = |(id, group): &(String, Group)| (id == entity_id).then(|| group.clone());
        current(|world| world.groups.iter().filter_map(is_member).collect())
    }

    /// The entity's id, name and metadata; the host knows more.
    pub(crate) fn expand(template: &str, entity_id: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or("a template is not closed")?;
            let value = current(|world| value(world, entity_id, name.trim()));
            out.push_str(before);
            out.push_str(&value.ok_or_else(|| format!("no value for {}", name.trim()))?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(world: &World, entity_id: &str, name: &str) -> Option<String> {
        let entity = world.entities.iter().find(|entity| entity.id == entity_id)?;
        match name.strip_prefix("identity.entity.")? {
            "id" => Some(entity.id.clone()),
            "name" => Some(entity.name.clone()),
            other => {
                let wanted = other.strip_prefix("metadata.")?;
                entity.metadata.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
            }
        }
    }
}
