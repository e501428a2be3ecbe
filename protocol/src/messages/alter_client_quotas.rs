//! AlterClientQuotas: sets and removes quotas of users, client ids and addresses. Goes to the controller.
//! Needs AlterConfigs on the cluster. What an entity is stands in
//! [`describe_client_quotas`](super::describe_client_quotas).
//!
//! Versions: 1 is flexible.
//!
//! Sources: KIP-546 (the API), KIP-599 (`controller_mutation_rate`), KIP-612 (addresses).

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::{api, wire};

// Kafka calls two structures `EntryData`; each keeps that name on the wire's side and gets its own on this one.
pub use request::EntryData as RequestEntryData;
pub use response::EntryData as ResponseEntryData;

api!(ALTER_CLIENT_QUOTAS: AlterClientQuotasRequest => AlterClientQuotasResponse, versions 0..=1, flexible 1..);

wire! {
    /// The changes; each entity succeeds or fails by itself.
    pub struct AlterClientQuotasRequest {
        /// The entities, each with what changes there; quotas that aren't named stay as they are.
        entries: Vec<RequestEntryData>,
        /// Only checks whether the changes would do; the answer is the same.
        validate_only: bool,
    }

    /// One type of an entity.
    pub struct EntityData {
        /// `user`, `client-id` or `ip`; `INVALID_REQUEST` for others, and for `ip` together with one of the
        /// others.
        entity_type: String,
        /// The name; null for the default, which is for all without one of their own. `INVALID_REQUEST` if
        /// empty, or for an `ip` that neither is an address nor resolves to one.
        entity_name: Option<String> = Some(String::new()),
    }

    /// A change.
    pub struct OpData {
        /// The quota: `producer_byte_rate`, `consumer_byte_rate`, `request_percentage` or
        /// `controller_mutation_rate`, and for addresses `connection_creation_rate`; `INVALID_REQUEST` for
        /// others.
        key: String,
        /// The limit; `INVALID_REQUEST` unless it is positive, and whole for bytes and connections. Not
        /// looked at to remove.
        value: f64,
        /// Whether the quota goes, instead of being set.
        remove: bool,
    }

    /// What became of the entities.
    pub struct AlterClientQuotasResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// A result for each entity.
        entries: Vec<ResponseEntryData>,
    }
}

mod request {
    use alloc::vec::Vec;

    use super::{EntityData, OpData};
    use crate::wire::wire;

    wire! {
        /// An entity and what changes there.
        pub struct EntryData {
            /// The entity, type by type; `INVALID_REQUEST` if empty or a type comes twice.
            entity: Vec<EntityData>,
            /// The changes, of which either all happen or none.
            ops: Vec<OpData>,
        }
    }
}

mod response {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::EntityData;
    use crate::error_code::ErrorCode;
    use crate::wire::wire;

    wire! {
        /// What became of one entity.
        pub struct EntryData {
            /// `CLUSTER_AUTHORIZATION_FAILED`, and those that the request's fields name.
            error_code: ErrorCode,
            /// The error in words, meant for people.
            error_message: Option<String> = Some(String::new()),
            /// The entity, type by type.
            entity: Vec<EntityData>,
        }
    }
}
