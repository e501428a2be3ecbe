//! DescribeClientQuotas: the quotas of users, client ids and addresses. Any broker answers. Needs
//! DescribeConfigs on the cluster.
//!
//! An entity is a user, a client id, the pair of both, or an address: the entity types `user`, `client-id`
//! and `ip`.
//!
//! Versions: 1 is flexible.
//!
//! Sources: KIP-546 (the API), KIP-612 (addresses).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    DESCRIBE_CLIENT_QUOTAS: DescribeClientQuotasRequest => DescribeClientQuotasResponse,
    versions 0..=1,
    flexible 1..
);

wire! {
    /// A filter; an entity must match all of it.
    pub struct DescribeClientQuotasRequest {
        /// What to match, at most once for each entity type; empty for all entities. `INVALID_REQUEST` for
        /// `ip` together with one of the others.
        components: Vec<ComponentData>,
        /// Whether an entity may have no other types than the filter names.
        strict: bool,
    }

    /// The quotas.
    pub struct DescribeClientQuotasResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CLUSTER_AUTHORIZATION_FAILED`, and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The entities that match and have quotas; null in an error.
        entries: Option<Vec<EntryData>> = Some(Vec::new()),
    }

    /// An entity's quotas.
    pub struct EntryData {
        /// The entity, type by type.
        entity: Vec<EntityData>,
        /// Its quotas.
        values: Vec<ValueData>,
    }

    /// One type of an entity.
    pub struct EntityData {
        /// The type.
        entity_type: String,
        /// The name; null for the default.
        entity_name: Option<String> = Some(String::new()),
    }

    /// A quota.
    pub struct ValueData {
        /// Its name, such as `producer_byte_rate`.
        key: String,
        /// Its limit.
        value: f64,
    }

    /// What to match of one entity type.
    pub struct ComponentData {
        /// The type; `INVALID_REQUEST` if it is empty or comes twice, `UNSUPPORTED_VERSION` if the broker
        /// doesn't know it.
        entity_type: String,
        /// 0: the entity of that name; 1: the default, for all without one of their own; 2: any name, the
        /// default included. `INVALID_REQUEST` for other numbers.
        match_type: i8,
        /// The name, with match type 0; null with the others. Else `INVALID_REQUEST`.
        r#match: Option<String> = Some(String::new()),
    }
}
