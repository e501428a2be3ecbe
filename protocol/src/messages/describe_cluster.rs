//! DescribeCluster: the cluster's id and nodes, without any topic. Brokers and controllers answer it; needs
//! no rights.
//!
//! Versions: 1 can ask a controller for the controllers; 2 can list fenced brokers, too.
//!
//! Sources: KIP-700, KIP-430 (authorized operations), KIP-919 (controllers), KIP-1073 (fenced brokers).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_CLUSTER: DescribeClusterRequest => DescribeClusterResponse, versions 0..=2, flexible 0..);

wire! {
    /// Asks about the cluster.
    pub struct DescribeClusterRequest {
        /// Asks what the client may do with the cluster; 0 operations are answered without Describe on it.
        include_cluster_authorized_operations: bool,
        /// Which nodes to list: 1 for brokers, 2 for controllers. The node that is asked must be of that
        /// kind, else it answers `MISMATCHED_ENDPOINT_TYPE`; for other numbers `UNSUPPORTED_ENDPOINT_TYPE`.
        [1..] endpoint_type: i8 = 1,
        /// Asks for brokers that are registered but fenced, too.
        [2..] include_fenced_brokers: bool,
    }

    /// The cluster as the answering node sees it.
    pub struct DescribeClusterResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `MISMATCHED_ENDPOINT_TYPE` or `UNSUPPORTED_ENDPOINT_TYPE`; in version 0, which only knows brokers,
        /// a controller answers `INVALID_REQUEST`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// Which nodes are listed: 1 for brokers, 2 for controllers.
        [1..] endpoint_type: i8 = 1,
        /// The cluster's id, the same as long as the cluster lives.
        cluster_id: String,
        /// From a controller the active one; from a broker any broker that is alive, as each of them passes
        /// requests on. -1 if there is none.
        controller_id: i32 = -1,
        /// The nodes, with their addresses on the listener that was asked.
        brokers: Vec<DescribeClusterBroker>,
        /// What the client may do with the cluster, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
        cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A node.
    pub struct DescribeClusterBroker {
        /// The node's id.
        broker_id: i32,
        /// The name or address to dial.
        host: String,
        /// The port to dial.
        port: i32,
        /// `broker.rack`, where it is set.
        rack: Option<String>,
        /// Whether the controller keeps it from leading: it starts, stops, or doesn't send heartbeats.
        [2..] is_fenced: bool,
    }
}
