//! Who asks, and the name under which an answer is owed.
//!
//! The machines of this crate never hold a connection. They are handed a [`Ticket`] with each request, may keep it
//! while the request has to wait, and later answer under it; a [`Caller`] tells them what Kafka knows of a client.

/// Names one request that waits for its answer; unique in a cluster for as long as the cluster lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a broker knows of the client behind a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The client id of the request's header; empty where the client named none.
    pub client_id: String,
    /// The client's address the way brokers print it, such as `/127.0.0.1`.
    pub host: String,
    /// The authenticated principal, such as `User:ANONYMOUS`.
    pub principal: String,
}
