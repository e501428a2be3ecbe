//! Which versions of which APIs each imitated release of Kafka announces.
//!
//! The ranges are those of the releases' own tables. Where a release also takes versions that carry the record formats
//! from before 0.11, or offsets kept in ZooKeeper, the range begins after those: nothing here can serve them.
//!
//! Sources: KIP-896 (what 4.0 removed), KAFKA-18659 (Produce is announced from 0 on), KIP-584 (features).

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::api_versions::{FinalizedFeatureKey, SupportedFeatureKey};
use ottla_protocol::wire::VersionRange;

/// A release of Kafka to imitate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Release {
    /// Kafka 2.1: no flexible versions, no topic ids, no incremental changes of configurations.
    V2_1,
    /// Kafka 2.8: the last with ZooKeeper alone; topic ids are answered but not asked with.
    V2_8,
    /// Kafka 3.9: the last that takes the oldest versions; transactions of the first kind only.
    V3_9,
    /// Kafka 4.0: transactions of the second kind, groups of the new protocol.
    V4_0,
    /// Kafka 4.3.
    #[default]
    V4_3,
}

impl Release {
    /// Every release, from old to new.
    pub const ALL: [Release; 5] = [Release::V2_1, Release::V2_8, Release::V3_9, Release::V4_0, Release::V4_3];

    /// The release's number, such as `4.3`.
    pub const fn name(self) -> &'static str {
        match self {
            Release::V2_1 => "2.1",
            Release::V2_8 => "2.8",
            Release::V3_9 => "3.9",
            Release::V4_0 => "4.0",
            Release::V4_3 => "4.3",
        }
    }

    /// The versions of an API that the release takes from clients.
    pub(crate) fn versions(self, key: ApiKey) -> VersionRange {
        let row = TABLE.iter().find(|(known, _)| *known == key);
        row.map_or(VersionRange::NONE, |(_, ranges)| ranges[self as usize])
    }

    /// The features that brokers of the release can be told to use.
    pub(crate) fn supported_features(self) -> Vec<SupportedFeatureKey> {
        let row = |&(name, min_version, levels): &(&str, i16, [i16; 5])| {
            let max_version = levels[self as usize];
            let name = name.to_owned();
            (max_version > 0).then(|| SupportedFeatureKey {
                name,
                min_version,
                max_version,
                ..Default::default()
            })
        };
        FEATURES.iter().filter_map(row).collect()
    }

    /// The features that a new cluster of the release uses.
    pub(crate) fn finalized_features(self) -> Vec<FinalizedFeatureKey> {
        let row = |&(name, _, levels): &(&str, i16, [i16; 5])| {
            let level = levels[self as usize];
            (level > 0).then(|| FinalizedFeatureKey {
                name: name.to_owned(),
                max_version_level: level,
                min_version_level: level,
                ..Default::default()
            })
        };
        FEATURES.iter().filter_map(row).collect()
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names none of the imitated releases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot imitate Kafka {0}; the releases are 2.1, 2.8, 3.9, 4.0 and 4.3")]
pub struct UnknownRelease(String);

impl std::str::FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, UnknownRelease> {
        let found = Release::ALL.into_iter().find(|release| release.name() == text);
        found.ok_or_else(|| UnknownRelease(text.to_owned()))
    }
}

/// Name, lowest level, and the level that each release sets up a cluster with; 0 where it has no such feature.
const FEATURES: &[(&str, i16, [i16; 5])] = &[
    ("kraft.version", 0, [0, 0, 1, 1, 1]),
    ("metadata.version", 7, [0, 0, 21, 25, 30]),
    ("group.version", 0, [0, 0, 0, 1, 1]),
    ("transaction.version", 0, [0, 0, 0, 2, 2]),
    ("eligible.leader.replicas.version", 0, [0, 0, 0, 0, 1]),
];

macro_rules! versions {
    (@ none) => { VersionRange::NONE };
    (@ $min:literal to $max:literal) => { VersionRange::new($min, $max) };
    ($($key:ident: $a:tt $(to $a2:literal)?, $b:tt $(to $b2:literal)?, $c:tt $(to $c2:literal)?, $d:tt $(to $d2:literal)?, $e:tt $(to $e2:literal)?;)*) => {
        const TABLE: &[(ApiKey, [VersionRange; 5])] = &[$((ApiKey::$key, [
            versions!(@ $a $(to $a2)?), versions!(@ $b $(to $b2)?), versions!(@ $c $(to $c2)?),
            versions!(@ $d $(to $d2)?), versions!(@ $e $(to $e2)?),
        ]),)*];
    };
}

// What clients may ask of 2.1, 2.8, 3.9, 4.0 and 4.3.
versions! {
    PRODUCE: 3 to 7, 3 to 9, 3 to 11, 3 to 12, 3 to 13;
    FETCH: 4 to 10, 4 to 12, 4 to 17, 4 to 17, 4 to 18;
    LIST_OFFSETS: 1 to 4, 1 to 6, 1 to 9, 1 to 10, 1 to 11;
    METADATA: 0 to 7, 0 to 11, 0 to 12, 0 to 13, 0 to 13;
    OFFSET_COMMIT: 1 to 6, 1 to 8, 1 to 9, 2 to 9, 2 to 10;
    OFFSET_FETCH: 1 to 5, 1 to 7, 1 to 9, 1 to 9, 1 to 10;
    FIND_COORDINATOR: 0 to 2, 0 to 3, 0 to 6, 0 to 6, 0 to 6;
    JOIN_GROUP: 0 to 3, 0 to 7, 0 to 9, 2 to 9, 0 to 9;
    HEARTBEAT: 0 to 2, 0 to 4, 0 to 4, 0 to 4, 0 to 4;
    LEAVE_GROUP: 0 to 2, 0 to 4, 0 to 5, 0 to 5, 0 to 5;
    SYNC_GROUP: 0 to 2, 0 to 5, 0 to 5, 0 to 5, 0 to 5;
    DESCRIBE_GROUPS: 0 to 2, 0 to 5, 0 to 5, 0 to 6, 0 to 6;
    LIST_GROUPS: 0 to 2, 0 to 4, 0 to 5, 0 to 5, 0 to 5;
    SASL_HANDSHAKE: 0 to 1, 0 to 1, 0 to 1, 0 to 1, 0 to 1;
    API_VERSIONS: 0 to 2, 0 to 3, 0 to 4, 0 to 4, 0 to 4;
    CREATE_TOPICS: 0 to 3, 0 to 7, 0 to 7, 2 to 7, 2 to 7;
    DELETE_TOPICS: 0 to 3, 0 to 6, 0 to 6, 1 to 6, 1 to 6;
    DELETE_RECORDS: 0 to 1, 0 to 2, 0 to 2, 0 to 2, 0 to 2;
    INIT_PRODUCER_ID: 0 to 1, 0 to 4, 0 to 5, 0 to 5, 0 to 5;
    OFFSET_FOR_LEADER_EPOCH: 0 to 2, 0 to 4, 0 to 4, 2 to 4, 2 to 4;
    ADD_PARTITIONS_TO_TXN: 0 to 1, 0 to 3, 0 to 5, 0 to 5, 0 to 5;
    ADD_OFFSETS_TO_TXN: 0 to 1, 0 to 3, 0 to 4, 0 to 4, 0 to 4;
    END_TXN: 0 to 1, 0 to 3, 0 to 4, 0 to 5, 0 to 5;
    WRITE_TXN_MARKERS: 0 to 0, 0 to 1, 0 to 1, 1 to 1, 1 to 2;
    TXN_OFFSET_COMMIT: 0 to 2, 0 to 3, 0 to 4, 0 to 5, 0 to 5;
    DESCRIBE_ACLS: 0 to 1, 0 to 2, 0 to 3, 1 to 3, 1 to 3;
    CREATE_ACLS: 0 to 1, 0 to 2, 0 to 3, 1 to 3, 1 to 3;
    DELETE_ACLS: 0 to 1, 0 to 2, 0 to 3, 1 to 3, 1 to 3;
    DESCRIBE_CONFIGS: 0 to 2, 0 to 4, 0 to 4, 1 to 4, 1 to 4;
    ALTER_CONFIGS: 0 to 1, 0 to 2, 0 to 2, 0 to 2, 0 to 2;
    ALTER_REPLICA_LOG_DIRS: 0 to 1, 0 to 2, 0 to 2, 1 to 2, 1 to 2;
    DESCRIBE_LOG_DIRS: 0 to 1, 0 to 2, 0 to 4, 1 to 4, 1 to 5;
    SASL_AUTHENTICATE: 0 to 0, 0 to 2, 0 to 2, 0 to 2, 0 to 2;
    CREATE_PARTITIONS: 0 to 1, 0 to 3, 0 to 3, 0 to 3, 0 to 3;
    CREATE_DELEGATION_TOKEN: 0 to 1, 0 to 2, 0 to 3, 1 to 3, 1 to 3;
    RENEW_DELEGATION_TOKEN: 0 to 1, 0 to 2, 0 to 2, 1 to 2, 1 to 2;
    EXPIRE_DELEGATION_TOKEN: 0 to 1, 0 to 2, 0 to 2, 1 to 2, 1 to 2;
    DESCRIBE_DELEGATION_TOKEN: 0 to 1, 0 to 2, 0 to 3, 1 to 3, 1 to 3;
    DELETE_GROUPS: 0 to 1, 0 to 2, 0 to 2, 0 to 2, 0 to 2;
    ELECT_LEADERS: none, 0 to 2, 0 to 2, 0 to 2, 0 to 2;
    INCREMENTAL_ALTER_CONFIGS: none, 0 to 1, 0 to 1, 0 to 1, 0 to 1;
    ALTER_PARTITION_REASSIGNMENTS: none, 0 to 0, 0 to 0, 0 to 0, 0 to 1;
    LIST_PARTITION_REASSIGNMENTS: none, 0 to 0, 0 to 0, 0 to 0, 0 to 0;
    OFFSET_DELETE: none, 0 to 0, 0 to 0, 0 to 0, 0 to 0;
    DESCRIBE_CLIENT_QUOTAS: none, 0 to 1, 0 to 1, 0 to 1, 0 to 1;
    ALTER_CLIENT_QUOTAS: none, 0 to 1, 0 to 1, 0 to 1, 0 to 1;
    DESCRIBE_USER_SCRAM_CREDENTIALS: none, 0 to 0, 0 to 0, 0 to 0, 0 to 0;
    ALTER_USER_SCRAM_CREDENTIALS: none, 0 to 0, 0 to 0, 0 to 0, 0 to 0;
    DESCRIBE_QUORUM: none, 0 to 0, 0 to 2, 0 to 2, 0 to 2;
    UPDATE_FEATURES: none, 0 to 0, 0 to 1, 0 to 2, 0 to 2;
    DESCRIBE_CLUSTER: none, 0 to 0, 0 to 1, 0 to 2, 0 to 2;
    DESCRIBE_PRODUCERS: none, 0 to 0, 0 to 0, 0 to 0, 0 to 0;
    UNREGISTER_BROKER: none, 0 to 0, 0 to 0, 0 to 0, 0 to 0;
    DESCRIBE_TRANSACTIONS: none, none, 0 to 0, 0 to 0, 0 to 0;
    LIST_TRANSACTIONS: none, none, 0 to 1, 0 to 1, 0 to 2;
    CONSUMER_GROUP_HEARTBEAT: none, none, 0 to 0, 0 to 1, 0 to 1;
    CONSUMER_GROUP_DESCRIBE: none, none, 0 to 0, 0 to 1, 0 to 1;
    GET_TELEMETRY_SUBSCRIPTIONS: none, none, 0 to 0, 0 to 0, 0 to 0;
    PUSH_TELEMETRY: none, none, 0 to 0, 0 to 0, 0 to 0;
    LIST_CONFIG_RESOURCES: none, none, 0 to 0, 0 to 0, 0 to 1;
    DESCRIBE_TOPIC_PARTITIONS: none, none, 0 to 0, 0 to 0, 0 to 0;
    SHARE_GROUP_HEARTBEAT: none, none, none, none, 1 to 1;
    SHARE_GROUP_DESCRIBE: none, none, none, none, 1 to 1;
    SHARE_FETCH: none, none, none, none, 1 to 2;
    SHARE_ACKNOWLEDGE: none, none, none, none, 1 to 2;
    ADD_RAFT_VOTER: none, none, 0 to 0, 0 to 0, 0 to 1;
    REMOVE_RAFT_VOTER: none, none, 0 to 0, 0 to 0, 0 to 0;
    STREAMS_GROUP_HEARTBEAT: none, none, none, none, 0 to 0;
    STREAMS_GROUP_DESCRIBE: none, none, none, none, 0 to 0;
    DESCRIBE_SHARE_GROUP_OFFSETS: none, none, none, none, 0 to 1;
    ALTER_SHARE_GROUP_OFFSETS: none, none, none, none, 0 to 0;
    DELETE_SHARE_GROUP_OFFSETS: none, none, none, none, 0 to 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_takes_its_own_versions_and_no_others() {
        let produce = Release::ALL.map(|release| release.versions(ApiKey::PRODUCE));
        assert_eq!(produce.map(|range| (range.min, range.max)), [(3, 7), (3, 9), (3, 11), (3, 12), (3, 13)]);
        assert!(Release::V2_1.versions(ApiKey::CONSUMER_GROUP_HEARTBEAT).is_empty());
        assert!(Release::V4_3.versions(ApiKey(999)).is_empty());
    }

    #[test]
    fn releases_are_named_by_their_number() {
        assert!(Release::ALL.into_iter().all(|release| release.to_string().parse() == Ok(release)));
        assert_eq!("4.2".parse::<Release>(), Err(UnknownRelease("4.2".to_owned())));
    }

    #[test]
    fn transactions_of_the_second_kind_are_a_feature_from_4_0_on() {
        let level = |release: Release| {
            let features = release.finalized_features();
            features.into_iter().find(|f| f.name == "transaction.version").map(|f| f.max_version_level)
        };
        assert_eq!(Release::ALL.map(level), [None, None, None, Some(2), Some(2)]);
    }
}
