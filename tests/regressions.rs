//! What went wrong in other servers of this kind and must not here, as seen from outside. Which row of
//! `regressions.md` a test holds, the line above it says. What must not live here: what a module about the thing
//! itself holds already.

mod doors;
mod memory;
mod secrets;
