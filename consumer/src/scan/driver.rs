//! Looks the bounds of a scan up, and reads.

#![allow(clippy::disallowed_methods, reason = "a driver reads the clock")]

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use ottla_client::{Client, Error, ErrorKind, Purpose, Target, TopicPartition};
use ottla_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchTopic, READ_COMMITTED, READ_UNCOMMITTED,
};

use super::bounds::{Bounds, Extent};
use super::{Scan, ScanEnd, What};
use crate::consumer::Consumer;
use crate::fetch::driver::now;
use crate::options::{IsolationLevel, OffsetReset};
use crate::record::Record;
use crate::subscription::Start;

/// The records of a [`Scan`], as a stream or one by one.
///
/// An error that may pass is an item, and the scan goes on when it is asked for more; another one is the last item, and
/// so is one that keeps the bounds from being known within `default.api.timeout.ms`: `UnknownTopic`, `Authorization`, `CorruptRecord`, or `OffsetOutOfRange` if retention was quicker than the scan.
pub struct Scanning {
    records: std::vec::IntoIter<Record>,
    state: State,
}

/// The reader comes back with what it read.
type Read = (Box<Reader>, Result<Vec<Record>, Error>);

enum State {
    Idle(Box<Reader>),
    Reading(Pin<Box<dyn Future<Output = Read> + Send>>),
    Ended,
}

impl Scanning {
    pub(super) fn new(scan: Scan) -> Scanning {
        let reader = Reader { scan, consumer: None, bounds: Bounds::default() };
        Scanning { records: Vec::new().into_iter(), state: State::Idle(Box::new(reader)) }
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Those of the type's head.
    ///
    /// # Cancel safety
    /// Safe: a record is only taken when it is returned.
    pub async fn next(&mut self) -> Option<Result<Record, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Scanning {
    type Item = Result<Record, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.records.next() {
                return Poll::Ready(Some(Ok(record)));
            }
            let mut reading = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Reading(reading) => reading,
                State::Idle(mut reader) => Box::pin(async move {
                    let records = reader.read().await;
                    (reader, records)
                }),
            };
            match reading.as_mut().poll(cx) {
                Poll::Pending => {
                    self.state = State::Reading(reading);
                    return Poll::Pending;
                }
                Poll::Ready((_, Ok(records))) if records.is_empty() => {}
                Poll::Ready((reader, Ok(records))) => {
                    self.records = records.into_iter();
                    self.state = State::Idle(reader);
                }
                Poll::Ready((_, Err(error))) if error.kind() == ErrorKind::Shutdown => {}
                Poll::Ready((reader, Err(error))) => {
                    if error.is_retriable() && reader.consumer.is_some() {
                        self.state = State::Idle(reader);
                    }
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for Scanning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanning").finish_non_exhaustive()
    }
}

/// A scan under way.
struct Reader {
    scan: Scan,
    /// Once the bounds are known.
    consumer: Option<Consumer>,
    bounds: Bounds,
}

impl Reader {
    /// The next records; none at the end.
    async fn read(&mut self) -> Result<Vec<Record>, Error> {
        let Some(shutdown) = self.scan.shutdown.clone() else { return self.read_on().await };
        tokio::select! {
            biased;
            () = shutdown.triggered() => Err(Error::new(ErrorKind::Shutdown, "the scan was asked to stop")),
            records = self.read_on() => records,
        }
    }

    async fn read_on(&mut self) -> Result<Vec<Record>, Error> {
        let consumer = match &mut self.consumer {
            Some(consumer) => consumer,
            none => {
                let (consumer, bounds) = begin(&self.scan).await?;
                self.bounds = bounds;
                none.insert(consumer)
            }
        };
        while !self.bounds.are_reached() {
            let records = consumer.at_hand().await?;
            let bounds = &self.bounds;
            let records: Vec<Record> = records
                .into_iter()
                .filter(|record| bounds.contain(record.topic_partition(), record.offset()))
                .collect();
            if self.bounds.finish(|partition, end| consumer.has_reached(partition, end)) {
                consumer.keep_only(self.bounds.remaining().map(|(partition, _)| partition))?;
            }
            if !records.is_empty() {
                return Ok(records);
            }
            if !self.bounds.are_reached() && !consumer.has_news_in_time().await {
                let (client, isolation) = (consumer.client().clone(), consumer.isolation_level());
                let quiet = self.bounds.remaining().filter_map(|(partition, end)| {
                    consumer.unfetched(partition).map(|offset| (partition.clone(), offset, end))
                });
                let quiet = quiet.collect();
                let drained = tokio::select! {
                    biased;
                    // A broker that hangs must not delay another one's records.
                    _ = consumer.has_news() => continue,
                    drained = drained(&client, isolation, quiet) => drained,
                };
                if self.bounds.finish(|partition, _| drained.contains(partition)) {
                    consumer.keep_only(self.bounds.remaining().map(|(partition, _)| partition))?;
                }
            }
        }
        Ok(Vec::new())
    }
}

/// Looks the bounds up, for a consumer that stands at them.
async fn begin(scan: &Scan) -> Result<(Consumer, Bounds), Error> {
    let mut options = scan.options.clone().auto_offset_reset(OffsetReset::None).enable_auto_commit(false);
    options.set("group.instance.id", "")?;
    options.set("group.id", "")?;
    // One for all that is looked up.
    let deadline = now() + options.values().default_api_timeout;
    let mut consumer = Consumer::new(scan.client.clone(), options)?;
    let partitions = match &scan.what {
        What::Partitions(partitions) => partitions.clone(),
        What::Topic(name) => {
            let patience = scan.client.options().values().default_api_timeout;
            let topic = scan.client.topic(name, deadline.min(now() + patience)).await?;
            (0..).zip(&topic.partitions).map(|(index, _)| TopicPartition::new(&**name, index)).collect()
        }
    };
    consumer.assign(partitions.iter().map(|partition| (partition.clone(), Start::Earliest)))?;
    // What is looked up is not to be fetched yet.
    consumer.pause(&partitions)?;
    let begins = consumer.offsets(&partitions, Start::Earliest, deadline).await?;
    let ends = consumer.offsets(&partitions, Start::Latest, deadline).await?;
    let from = match scan.from {
        Start::Earliest => begins.clone(),
        Start::Latest => ends.clone(),
        from => consumer.offsets(&partitions, from, deadline).await?,
    };
    let to = match scan.to {
        ScanEnd::Latest => ends.clone(),
        ScanEnd::Offset(offset) => vec![offset; partitions.len()],
        ScanEnd::Timestamp(at) => consumer.offsets(&partitions, Start::Timestamp(at), deadline).await?,
    };
    let mut bounds = Bounds::default();
    for (index, partition) in partitions.iter().enumerate() {
        let extent = Extent { begin: begins[index], end: ends[index], from: from[index], to: to[index] };
        if let Some(from) = bounds.add(partition.clone(), extent) {
            consumer.seek(partition, Start::Offset(from))?;
        }
    }
    consumer.keep_only(bounds.remaining().map(|(partition, _)| partition))?;
    consumer.resume(&consumer.assignment())?;
    Ok((consumer, bounds))
}

/// The partitions that have nothing between the position and the end: compaction may have removed the last batches whole,
/// so that no answer ever carries the position over the end. A question outside of the session shows it.
async fn drained(
    client: &Client,
    isolation: IsolationLevel,
    quiet: Vec<(TopicPartition, i64, i64)>,
) -> Vec<TopicPartition> {
    let mut drained = Vec::new();
    for (partition, offset, end) in quiet {
        match has_nothing_before(client, isolation, &partition, offset, end).await {
            Ok(true) => drained.push(partition),
            Ok(false) => {}
            Err(error) => tracing::debug!(%partition, %error, "cannot see whether there is more"),
        }
    }
    drained
}

async fn has_nothing_before(
    client: &Client,
    isolation: IsolationLevel,
    partition: &TopicPartition,
    offset: i64,
    end: i64,
) -> Result<bool, Error> {
    let cluster = client.cluster();
    let Some((topic, leader)) =
        cluster.topic(&partition.topic).zip(cluster.leader(&partition.topic, partition.partition))
    else {
        return Ok(false);
    };
    let committed = isolation == IsolationLevel::ReadCommitted;
    let request = FetchRequest {
        max_wait_ms: 0,
        min_bytes: 0,
        // The first batch comes whole however large it is.
        max_bytes: 1,
        isolation_level: if committed { READ_COMMITTED } else { READ_UNCOMMITTED },
        topics: vec![FetchTopic {
            topic: partition.topic.to_string(),
            topic_id: topic.id,
            partitions: vec![FetchPartition {
                partition: partition.partition,
                current_leader_epoch: leader.epoch,
                fetch_offset: offset,
                partition_max_bytes: 1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let deadline = now() + client.options().values().request_timeout;
    let answer = client.call(Target::Node(leader.node, Purpose::General), &request, deadline).await?;
    let row = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
    Ok(row.is_some_and(|row| {
        let readable = if committed { row.last_stable_offset } else { row.high_watermark };
        row.error_code.is_ok() && row.records.is_none_or(|records| records.is_empty()) && readable >= end
    }))
}
