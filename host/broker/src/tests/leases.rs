//! Many leases: by prefix, by force, with their mount, with a move.
