//! The options of a producer, and which of them go together.
//!
//! Sources: KIP-91 (`delivery.timeout.ms`), KIP-98 and KIP-679 (idempotence), KIP-390 (compression levels), KIP-580
//! (backoff), KIP-526 (`metadata.max.idle.ms`), KIP-794 (`partitioner.…`).

use std::time::Duration;

use ottla_client::options::OptionValue;
use ottla_client::{Backoff, Error, ErrorKind};
use ottla_protocol::compression::{Compression, CompressionLevel};

use crate::partitioner::PartitionerClass;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The most batches of one partition that a broker remembers of an idempotent producer, to tell repeats.
pub(crate) const IDEMPOTENT_IN_FLIGHT: usize = 5;

ottla_client::options! {
    /// Options of a [`Producer`](crate::Producer).
    pub struct ProducerOptions, ProducerValues, rule rule {
        /// Whose acknowledgement counts: all in-sync replicas, the leader's alone, or nobody's.
        "acks" => required_acks: Acks = Acks::All;
        /// Whether the brokers keep retries from duplicating or reordering records. On by default, and off where `acks` or `retries` rule it out and it was not asked for.
        "enable.idempotence" => enable_idempotence: Option<bool> = None;
        /// How long a batch waits for more records before it is sent although it is not full.
        "linger.ms" => linger: Duration = MS(5);
        /// How many bytes of records are gathered into a batch at most; a larger record gets a batch of its own.
        "batch.size" => batch_size: usize = 16_384, max i32::MAX as usize;
        /// How many bytes all records that are not acknowledged may take, and the buffers kept for new ones.
        "buffer.memory" => buffer_memory: usize = 32 << 20, min 1;
        /// The largest request, and the largest record before compression.
        "max.request.size" => max_request_size: usize = 1 << 20, min 1, max i32::MAX as usize;
        /// How long `send` waits for metadata and for room in the buffer.
        "max.block.ms" => max_block: Duration = MS(60_000);
        /// How long after its acceptance by `send` a record's outcome is known at the latest, retries included.
        "delivery.timeout.ms" => delivery_timeout: Duration = MS(120_000), min MS(1), max MS(31_536_000_000);
        /// How long a broker may take to answer one request before its connection is given up and the request retried.
        "request.timeout.ms" => request_timeout: Duration = MS(30_000), min MS(1), max MS(i32::MAX as u64);
        /// How many requests may be on their way to one broker at a time.
        "max.in.flight.requests.per.connection" => max_in_flight: usize = 5, min 1;
        /// How batches are compressed.
        "compression.type" => compression: CompressionType = CompressionType::None;
        /// The level of gzip: 1 to 9, or -1 for its default.
        "compression.gzip.level" => compression_gzip_level: i32 = -1, min -1, max 9, check gzip_level;
        /// The level of lz4; accepted for compatibility, as the codec has one speed.
        "compression.lz4.level" => compression_lz4_level: i32 = 9, min 1, max 17;
        /// The level of zstd: the higher, the smaller and slower.
        "compression.zstd.level" => compression_zstd_level: i32 = 3, min -131_072, max 22;
        /// How often a batch is sent again; `delivery.timeout.ms` is the bound to set instead.
        "retries" => max_retries: u32 = i32::MAX as u32, max i32::MAX as u32;
        /// The first wait before a batch is sent again; it doubles with each failure.
        "retry.backoff.ms" => retry_backoff: Duration = MS(100);
        /// The longest wait before a batch is sent again.
        "retry.backoff.max.ms" => retry_backoff_max: Duration = MS(1_000);
        /// How a record gets a partition that names none; further ones are an application's own, by the setter.
        "partitioner.class" => partitioner: PartitionerClass = PartitionerClass::Default;
        /// Whether records with keys are spread like those without; only with the `default` partitioner.
        "partitioner.ignore.keys" => partitioner_ignore_keys: bool = false;
        /// Whether records without a key go less often to partitions in which batches wait.
        "partitioner.adaptive.partitioning.enable" => partitioner_adaptive: bool = true;
        /// After how long a broker that takes no batches gets no records without a key until it does; 0 is never.
        "partitioner.availability.timeout.ms" => partitioner_availability_timeout: Duration = MS(0);
        /// Whether brokers with `auto.create.topics.enable` may create topics that records are sent to.
        "allow.auto.create.topics" => allow_auto_create_topics: bool = true;
        /// After how long without records a topic's metadata is not kept fresh any more and its buffers are freed.
        "metadata.max.idle.ms" => metadata_max_idle: Duration = MS(300_000), min MS(5_000);
    }
}

/// `acks`: whose acknowledgement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody's: a record counts as sent once it is written to the socket, and its offset stays unknown.
    None,
    /// The leader's: what it acknowledged is lost if it fails before its followers have it.
    Leader,
    /// All in-sync replicas'.
    All,
}
ottla_client::option_names!(Acks { All = "all", All = "-1", None = "0", Leader = "1" });

impl Acks {
    /// The number on the wire.
    pub(crate) fn number(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// `compression.type`: the codec of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard, for brokers from 2.1 on.
    Zstd,
}
ottla_client::option_names!(CompressionType {
    None = "none",
    Gzip = "gzip",
    Snappy = "snappy",
    Lz4 = "lz4",
    Zstd = "zstd",
});

impl ProducerOptions {
    /// Whose acknowledgement counts; by its short name.
    #[must_use]
    pub fn acks(self, acks: Acks) -> Self {
        self.required_acks(acks)
    }

    /// How often a batch is sent again; by its short name.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.max_retries(retries)
    }
}

impl ProducerValues {
    /// Whether the producer is idempotent: by wish, or by default where nothing speaks against it.
    pub fn is_idempotent(&self) -> bool {
        self.enable_idempotence.unwrap_or(self.required_acks == Acks::All && self.max_retries > 0)
    }

    /// The codec and its level.
    pub(crate) fn compression_level(&self) -> Result<CompressionLevel, Error> {
        let (codec, level) = match self.compression {
            CompressionType::None => return Ok(Compression::None.default_level()),
            CompressionType::Snappy => return Ok(Compression::Snappy.default_level()),
            CompressionType::Gzip => (Compression::Gzip, self.compression_gzip_level),
            CompressionType::Lz4 => (Compression::Lz4, self.compression_lz4_level),
            CompressionType::Zstd => (Compression::Zstd, self.compression_zstd_level),
        };
        codec.level(level).map_err(|error| config(error.to_string()))
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.retry_backoff, self.retry_backoff_max)
    }
}

fn rule(values: &ProducerValues) -> Result<(), Error> {
    if values.is_idempotent() {
        let conflict = match values {
            ProducerValues { required_acks: acks, .. } if *acks != Acks::All => {
                Some(format!("`acks` must be `all`, not `{}`", acks.render()))
            }
            ProducerValues { max_retries: 0, .. } => Some("`retries` must be above 0".to_owned()),
            ProducerValues { max_in_flight, .. } if *max_in_flight > IDEMPOTENT_IN_FLIGHT => Some(format!(
                "`max.in.flight.requests.per.connection` must be at most {IDEMPOTENT_IN_FLIGHT}, not {max_in_flight}"
            )),
            _ => None,
        };
        if let Some(conflict) = conflict {
            return Err(config(format!(
                "with `enable.idempotence`, {conflict}; or set `enable.idempotence` to `false`"
            )));
        }
    }
    let least = values.linger.saturating_add(values.request_timeout);
    if values.delivery_timeout < least {
        return Err(config(format!(
            "option `delivery.timeout.ms`: {} is below `linger.ms` + `request.timeout.ms` = {}",
            values.delivery_timeout.render(),
            least.render()
        )));
    }
    if values.retry_backoff > values.retry_backoff_max {
        return Err(config(format!(
            "option `retry.backoff.ms`: {} is above `retry.backoff.max.ms` = {}",
            values.retry_backoff.render(),
            values.retry_backoff_max.render()
        )));
    }
    values.compression_level().map(drop)
}

fn gzip_level(level: &i32) -> Result<(), String> {
    if *level == 0 {
        Err("0 is no level of gzip; use -1 for the default, or 1 to 9".to_owned())
    } else {
        Ok(())
    }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &ProducerOptions) -> String {
        options.validate().expect_err("a conflict").to_string()
    }

    #[test]
    fn defaults_are_kafkas_and_go_together() {
        let options = ProducerOptions::new();
        options.validate().expect("defaults");
        let values = options.values();
        assert!(values.is_idempotent());
        assert_eq!((values.linger, values.batch_size, values.max_in_flight), (MS(5), 16_384, 5));
        for row in ProducerOptions::ROWS {
            ProducerOptions::new().set(row.name, &(row.default)()).expect(row.name);
        }
    }

    #[test]
    fn idempotence_gives_way_by_default_and_insists_when_asked_for() {
        assert!(!ProducerOptions::new().acks(Acks::Leader).values().is_idempotent());
        assert!(!ProducerOptions::new().retries(0u32).values().is_idempotent());
        ProducerOptions::new().acks(Acks::Leader).validate().expect("idempotence gives way");
        assert_eq!(
            refused(&ProducerOptions::new().acks(Acks::None).enable_idempotence(true)),
            "with `enable.idempotence`, `acks` must be `all`, not `0`; or set `enable.idempotence` to `false`"
        );
        assert!(refused(&ProducerOptions::new().max_in_flight(6usize)).contains("at most 5, not 6"));
        ProducerOptions::new()
            .max_in_flight(6usize)
            .enable_idempotence(false)
            .validate()
            .expect("not idempotent");
    }

    #[test]
    fn the_delivery_timeout_covers_linger_and_one_request() {
        assert_eq!(
            refused(&ProducerOptions::new().delivery_timeout(MS(30_004))),
            "option `delivery.timeout.ms`: 30004 is below `linger.ms` + `request.timeout.ms` = 30005"
        );
        ProducerOptions::new().delivery_timeout(MS(30_005)).validate().expect("enough");
    }

    #[test]
    fn levels_go_to_their_codec() {
        let mut options = ProducerOptions::new();
        options.set("compression.type", "zstd").expect("a codec");
        options.set("compression.zstd.level", "7").expect("a level");
        let level = options.values().compression_level().expect("valid");
        assert_eq!((level.codec(), level.level()), (Compression::Zstd, 7));
        assert!(ProducerOptions::new().set("compression.gzip.level", "0").is_err());
        assert!(ProducerOptions::new().set("acks", "2").is_err());
        assert_eq!(
            ProducerOptions::from_pairs([("acks", "-1")]).expect("all").values().required_acks,
            Acks::All
        );
    }
}
