//! One question for committed offsets, with an answer for each partition: one that is not stable yet, or refused, holds up
//! no other.

use std::collections::HashMap;
use std::time::Instant;

use ottla_client::{Error, TopicPartition};
use ottla_protocol::messages::offset_fetch::OffsetFetchRequest;

use super::super::Committer;
use super::super::request::{Judgement, TopicOffset, Topics, fetch_request, judge_fetch, refused};
use super::Tries;

/// What is known of each partition; of those that are missing nothing is known yet.
type Fetched = HashMap<TopicPartition, Result<Option<TopicOffset>, Error>>;

impl Committer {
    /// The committed offset of each partition, `None` where there is none, or why it is not known. Asked once, but again
    /// where the coordinator takes the member for one of another epoch. Of topics that the metadata do not know nothing is asked:
    /// by its name, a topic that was deleted could be meant.
    ///
    /// # Errors
    /// What concerns all partitions: `Authorization`, `Broker`, the stage at which connecting failed, or `Timeout`.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub(crate) async fn fetch_once(
        &self,
        partitions: &[TopicPartition],
        deadline: Instant,
    ) -> Result<Fetched, Error> {
        let what = format!("the committed offsets of group `{}` are not known", self.group_id);
        let mut tries = Tries::new(what, deadline);
        loop {
            tries.count += 1;
            let cluster = self.client.cluster();
            let is_known = |place: &&TopicPartition| cluster.topic(&place.topic).is_some();
            let mut pending: Vec<TopicPartition> = partitions.iter().filter(is_known).cloned().collect();
            let mut found = HashMap::with_capacity(pending.len());
            if pending.is_empty() {
                return Ok(HashMap::new());
            }
            let topics = Topics::of(&cluster, &pending);
            let newest = topics.newest_version();
            let reader = self.membership();
            let request = |version| fetch_request(&self.group_id, &reader, &pending, &topics, version);
            let (node, response) = match self.ask::<OffsetFetchRequest>(request, newest, deadline).await {
                Ok(answered) => answered,
                Err((node, error)) => {
                    if let Some(node) = node.filter(|_| error.is_retriable()) {
                        self.client.forget_coordinator(&self.key(), node);
                    }
                    return Err(error);
                }
            };
            let judgement = judge_fetch(&self.group_id, &mut pending, &mut found, &topics, &response);
            let mut refused = refused(&self.group_id, &topics, &response);
            if let Judgement::Retry { elsewhere: true, .. } = judgement {
                self.client.forget_coordinator(&self.key(), node);
            }
            // Of a topic whose id the coordinator does not know, it is not asked by name: that may still be another one's, which
            // was deleted, and whose commit would be taken for one of the topic that came after it.
            if refused.values().any(|code| code.is_stale_metadata()) {
                self.client.refresh_metadata();
            }
            let settled = |(name, offset): (TopicPartition, Option<TopicOffset>)| (name, Ok(offset));
            let mut fetched: Fetched = found.into_iter().map(settled).collect();
            for name in pending {
                if let Some(code) = refused.remove(&name) {
                    let doing = format!("cannot fetch the committed offset of {name}");
                    fetched.insert(name, Err(Error::from_code(code, doing)));
                }
            }
            return match judgement {
                _ if !fetched.is_empty() => Ok(fetched),
                Judgement::Failed(error) => Err(error),
                Judgement::Membership(code) => {
                    self.ask_as_who(&mut tries, code, &reader)?;
                    self.wait(&tries).await?;
                    continue;
                }
                Judgement::Retry { code, .. } => {
                    let doing = format!("cannot fetch the committed offsets of group `{}`", self.group_id);
                    Err(Error::from_code(code, doing))
                }
                Judgement::Done => Ok(fetched),
            };
        }
    }
}
