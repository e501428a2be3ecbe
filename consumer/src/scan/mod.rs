//! [`Scan`]: the records of a topic from here to there, and then the end.
//!
//! - [`bounds`]: pure; from where to where each partition is read, and which are done;
//! - [`driver`]: looks the bounds up and reads.
//!
//! Guarantees: a partition's records come in order and each once; the scan ends although nothing is written any more, behind
//! control records, aborted transactions and what compaction removed too.
//!
//! Sources: KIP-79 (offsets for times), KIP-98 (the last stable offset).

mod bounds;
mod driver;

use std::fmt;
use std::sync::Arc;

use ottla_client::{Client, TopicPartition};

use crate::options::ConsumerOptions;
use crate::shutdown::Shutdown;
use crate::subscription::Start;

pub use driver::Scanning;

/// A bounded read of a topic or of some partitions, outside of any group.
///
/// ```no_run
/// # async fn run(client: ottla_client::Client) -> Result<(), ottla_client::Error> {
/// use ottla_consumer::{Scan, ScanEnd, Start};
///
/// let day = 86_400_000;
/// let mut records =
///     Scan::topic(client, "orders").from(Start::Timestamp(100 * day)).to(ScanEnd::Timestamp(101 * day)).read();
/// while let Some(record) = records.next().await {
///     println!("{:?}", record?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scan {
    client: Client,
    options: ConsumerOptions,
    what: What,
    from: Start,
    to: ScanEnd,
    shutdown: Option<Shutdown>,
}

/// What is read.
#[derive(Clone, Debug)]
enum What {
    Topic(Arc<str>),
    Partitions(Vec<TopicPartition>),
}

/// Where a scan ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ScanEnd {
    /// At the log's end as it is when the scan begins (with `isolation.level=read_committed`, before the first open
    /// transaction).
    #[default]
    Latest,
    /// Before this offset, or at the log's end if that comes first.
    Offset(i64),
    /// Before the first record that is not older than this, in milliseconds since 1970; at the log's end if there is none.
    Timestamp(i64),
}

impl Scan {
    /// A scan of all partitions of a topic, from the logs' start to their end.
    pub fn topic(client: Client, topic: impl Into<Arc<str>>) -> Scan {
        Scan::of(client, What::Topic(topic.into()))
    }

    /// A scan of these partitions, from the logs' start to their end.
    pub fn partitions(client: Client, partitions: impl IntoIterator<Item = TopicPartition>) -> Scan {
        Scan::of(client, What::Partitions(partitions.into_iter().collect()))
    }

    fn of(client: Client, what: What) -> Scan {
        Scan {
            client,
            options: ConsumerOptions::new().allow_auto_create_topics(false),
            what,
            from: Start::Earliest,
            to: ScanEnd::Latest,
            shutdown: None,
        }
    }

    /// Where each partition begins. What lies before the log's start is passed over.
    #[must_use]
    pub fn from(mut self, from: Start) -> Scan {
        self.from = from;
        self
    }

    /// Where each partition ends.
    #[must_use]
    pub fn to(mut self, to: ScanEnd) -> Scan {
        self.to = to;
        self
    }

    /// Reads with these options; those of groups, commits and resets mean nothing to a scan.
    #[must_use]
    pub fn options(mut self, options: ConsumerOptions) -> Scan {
        self.options = options;
        self
    }

    /// Has `shutdown` end the scan, as if it had come to its end.
    #[must_use]
    pub fn stop_with(mut self, shutdown: &Shutdown) -> Scan {
        self.shutdown = Some(shutdown.clone());
        self
    }

    /// Begins; the bounds are looked up when the first record is asked for.
    pub fn read(self) -> Scanning {
        Scanning::new(self)
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("what", &self.what)
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}
