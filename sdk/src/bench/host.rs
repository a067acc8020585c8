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
}

/// `digest`: what needs no cryptography.
pub(crate) mod digest {
    use super::current;

    pub(crate) fn random(len: u32) -> Vec<u8> {
        current(|world| (0..len).map(|_| world.random_byte()).collect())
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

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        current(|world| world.cache.get(key).map(|(value, _)| value.clone()))
    }

    pub(crate) fn put(key: &str, value: &[u8], _ttl: u64, depends_on: &[String]) {
        current(|world| world.cache.insert(key.to_owned(), (value.to_vec(), depends_on.to_vec())));
    }
}

/// `effects`.
pub(crate) mod effects {
    use super::current;
    use crate::bench::world::Job;

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
    use crate::bindings::mounted::bulkhead::plugin::identity::Entity;

    pub(crate) fn lookup(entity_id: &str) -> Option<Entity> {
        current(|world| world.entities.iter().find(|entity| entity.id == entity_id).cloned())
    }
}
