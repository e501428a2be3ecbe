//! [`LogConfig`]: a topic's settings, as far as its logs obey them.

use ottla_protocol::compression::Compression;
use ottla_protocol::records::TimestampType;

/// A topic's settings for its logs, with Kafka's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Whose clock stamps the records (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// How far before the broker's clock a record's timestamp may be (`message.timestamp.before.max.ms`).
    pub timestamp_before_max_ms: i64,
    /// How far after it (`message.timestamp.after.max.ms`).
    pub timestamp_after_max_ms: i64,
    /// The longest batch (`max.message.bytes`).
    pub max_message_bytes: i32,
    /// The codec that batches are stored with (`compression.type`); `None` keeps the producer's.
    pub compression: Option<Compression>,
    /// Whether old segments are deleted (`cleanup.policy`).
    pub delete: bool,
    /// Whether older records of a key are removed (`cleanup.policy`).
    pub compact: bool,
    /// How old a segment may become (`retention.ms`); negative for ever.
    pub retention_ms: i64,
    /// How long the log may become (`retention.bytes`); negative without a limit.
    pub retention_bytes: i64,
    /// When a new segment begins, in bytes (`segment.bytes`).
    pub segment_bytes: i32,
    /// When a new segment begins, in milliseconds (`segment.ms`).
    pub segment_ms: i64,
    /// How long compaction keeps tombstones and markers (`delete.retention.ms`).
    pub delete_retention_ms: i64,
    /// How long records are left alone by compaction (`min.compaction.lag.ms`).
    pub min_compaction_lag_ms: i64,
    /// How long a silent producer is remembered (the broker's `producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
            max_message_bytes: 1_048_588,
            compression: None,
            delete: true,
            compact: false,
            retention_ms: 7 * DAY,
            retention_bytes: -1,
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY,
            delete_retention_ms: DAY,
            min_compaction_lag_ms: 0,
            producer_id_expiration_ms: DAY,
        }
    }
}

/// A setting's value that Kafka would not take either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value {value} for configuration {name}")]
pub struct InvalidLogConfig {
    /// The setting's name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl LogConfig {
    /// Takes one setting by its name in Kafka's topic configuration, and says whether it is one of a log's.
    ///
    /// # Errors
    /// [`InvalidLogConfig`] when the value cannot be one of that setting.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool, InvalidLogConfig> {
        let invalid = || InvalidLogConfig { name: name.to_owned(), value: value.to_owned() };
        let at_least = |least: i64| match value.trim().parse::<i64>() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(invalid()),
        };
        let int =
            |least: i64| at_least(least).and_then(|number| i32::try_from(number).map_err(|_| invalid()));
        match name {
            "message.timestamp.type" => {
                self.timestamp_type = match value {
                    "CreateTime" => TimestampType::CreateTime,
                    "LogAppendTime" => TimestampType::LogAppendTime,
                    _ => return Err(invalid()),
                }
            }
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = at_least(0)?,
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = at_least(0)?,
            "max.message.bytes" => self.max_message_bytes = int(0)?,
            "compression.type" => {
                self.compression = match value {
                    "producer" => None,
                    "uncompressed" => Some(Compression::None),
                    "none" => return Err(invalid()),
                    name => Some(name.parse().map_err(|_| invalid())?),
                }
            }
            "cleanup.policy" => {
                let (mut delete, mut compact) = (false, false);
                for policy in value.split(',').map(str::trim).filter(|policy| !policy.is_empty()) {
                    match policy {
                        "delete" => delete = true,
                        "compact" => compact = true,
                        _ => return Err(invalid()),
                    }
                }
                (self.delete, self.compact) = (delete, compact);
            }
            "retention.ms" => self.retention_ms = at_least(-1)?,
            "retention.bytes" => self.retention_bytes = at_least(-1)?,
            "segment.bytes" => self.segment_bytes = int(1)?,
            "segment.ms" => self.segment_ms = at_least(1)?,
            "delete.retention.ms" => self.delete_retention_ms = at_least(0)?,
            "min.compaction.lag.ms" => self.min_compaction_lag_ms = at_least(0)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_by_kafkas_names_and_others_are_left_to_others() {
        let mut config = LogConfig::default();
        for (name, value) in [
            ("message.timestamp.type", "LogAppendTime"),
            ("message.timestamp.before.max.ms", "5"),
            ("message.timestamp.after.max.ms", "6"),
            ("max.message.bytes", "100"),
            ("compression.type", "zstd"),
            ("cleanup.policy", "compact, delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "1000"),
            ("segment.bytes", "1048576"),
            ("segment.ms", "7"),
            ("delete.retention.ms", "8"),
            ("min.compaction.lag.ms", "9"),
        ] {
            assert_eq!(config.set(name, value), Ok(true), "{name}");
        }
        assert_eq!(
            config,
            LogConfig {
                timestamp_type: TimestampType::LogAppendTime,
                timestamp_before_max_ms: 5,
                timestamp_after_max_ms: 6,
                max_message_bytes: 100,
                compression: Some(Compression::Zstd),
                delete: true,
                compact: true,
                retention_ms: -1,
                retention_bytes: 1000,
                segment_bytes: 1_048_576,
                segment_ms: 7,
                delete_retention_ms: 8,
                min_compaction_lag_ms: 9,
                producer_id_expiration_ms: 86_400_000,
            }
        );
        assert_eq!(config.set("compression.type", "producer"), Ok(true));
        assert_eq!(config.compression, None);
        assert_eq!(config.set("min.insync.replicas", "2"), Ok(false));
    }

    #[test]
    fn values_that_kafka_refuses_are_refused() {
        for (name, value) in [
            ("message.timestamp.type", "logAppendTime"),
            ("max.message.bytes", "-1"),
            ("compression.type", "none"),
            ("compression.type", "brotli"),
            ("cleanup.policy", "keep"),
            ("retention.ms", "-2"),
            ("segment.bytes", "3000000000"),
            ("segment.ms", "0"),
        ] {
            let refused = InvalidLogConfig { name: name.to_owned(), value: value.to_owned() };
            assert_eq!(LogConfig::default().set(name, value), Err(refused), "{name}={value}");
        }
    }
}
