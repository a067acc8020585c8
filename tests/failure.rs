//! What breaks: power, disks, shares, configurations, clients. What lives here:
//! the list. The promise is everywhere the same: a clear error, nothing
//! acknowledged lost, nothing wrong served.

mod config;
mod crash;
mod damage;
mod full;
mod guests;
mod hostile;
mod reload;
mod shares;
mod tls;
