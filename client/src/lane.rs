//! [`Lane`]: connections that nobody else's requests go over.

use std::sync::{Arc, Weak};

use crate::purpose::Purpose;
use crate::router::Router;

/// The connections of one group member, or of one consumer's fetches. Dropping it lets go of them.
#[derive(Debug)]
pub struct Lane {
    number: u64,
    router: Weak<Router>,
}

impl Lane {
    pub(crate) fn new(number: u64, router: &Arc<Router>) -> Lane {
        Lane { number, router: Arc::downgrade(router) }
    }

    /// What to ask [`Client::connection`](crate::Client::connection) for.
    pub fn purpose(&self) -> Purpose {
        Purpose::Lane(self.number)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(router) = self.router.upgrade() {
            router.pool().close(self.purpose());
        }
    }
}
