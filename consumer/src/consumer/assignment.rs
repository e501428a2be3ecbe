//! Which partitions are read and from where: `subscribe`, `assign`, pause, resume, seek, position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Error, ErrorKind, GroupMetadata, TopicPartition};

use super::{Consumer, driver, spoken};
use crate::assignor::Assignor;
use crate::fetch::driver::{Shared, now, random};
use crate::group::{Group, Interest};
use crate::listener::RebalanceListener;
use crate::options::GroupProtocol;
use crate::subscription::{Source, Start};

impl Consumer {
    /// Joins the group and reads the partitions of these topics that it assigns; replaces the topics and the listener of
    /// an earlier call.
    ///
    /// # Errors
    /// Kind `Config` without `group.id`; `InvalidState` after `assign`, or without topics.
    pub fn subscribe(&mut self, topics: impl IntoIterator<Item = impl Into<String>>) -> Result<(), Error> {
        self.start_group(Interest::Topics(topics.into_iter().map(Into::into).collect()), None)
    }

    /// The same, with a listener that is told of partitions that come and go.
    ///
    /// # Errors
    /// Those of [`Consumer::subscribe`].
    pub fn subscribe_with(
        &mut self,
        topics: impl IntoIterator<Item = impl Into<String>>,
        listener: impl RebalanceListener + 'static,
    ) -> Result<(), Error> {
        let topics = topics.into_iter().map(Into::into).collect();
        self.start_group(Interest::Topics(topics), Some(Box::new(listener)))
    }

    /// Joins the group and reads all topics whose whole name matches the regular expression, those that are created later
    /// included; replaces the subscription and the listener of an earlier call.
    ///
    /// With `group.protocol=consumer` the brokers match (Kafka 4.0 and later), in RE2's syntax, Kafka's own topics included; what
    /// they find invalid is an error of the next poll. With `classic` this client matches, at once and then every
    /// `metadata.max.age.ms`, in a similar syntax: neither has look-around or back references. Kafka's own topics are then left
    /// out unless `exclude.internal.topics` is false.
    ///
    /// # Errors
    /// Kind `Config` without `group.id`, or for what is no regular expression; `InvalidState` after `assign`, or for an
    /// empty expression.
    pub fn subscribe_pattern(&mut self, pattern: impl AsRef<str>) -> Result<(), Error> {
        self.start_group(Interest::Pattern(pattern.as_ref().into()), None)
    }

    /// The same, with a listener that is told of partitions that come and go.
    ///
    /// # Errors
    /// Those of [`Consumer::subscribe_pattern`].
    pub fn subscribe_pattern_with(
        &mut self,
        pattern: impl AsRef<str>,
        listener: impl RebalanceListener + 'static,
    ) -> Result<(), Error> {
        self.start_group(Interest::Pattern(pattern.as_ref().into()), Some(Box::new(listener)))
    }

    /// Uses these assignors, the preferred one first, instead of those of `partition.assignment.strategy`, from the next
    /// subscription on. All members of a group have to have one of the same name.
    ///
    /// # Errors
    /// Kind `InvalidState` while the consumer is in a group; `Config` if there is none, two have the same name, or
    /// `group.protocol` is `consumer`, where brokers assign.
    pub fn set_assignors(
        &mut self,
        assignors: impl IntoIterator<Item = Arc<dyn Assignor>>,
    ) -> Result<(), Error> {
        let assignors: Vec<_> = assignors.into_iter().collect();
        let refuse = |text: &str| Err(Error::new(ErrorKind::Config, text.to_owned()));
        if self.group.is_some() {
            return Err(invalid("assignors are chosen before `subscribe`; call `unsubscribe` first"));
        }
        if self.options.group_protocol == GroupProtocol::Consumer {
            return refuse("with option `group.protocol=consumer` the brokers assign");
        }
        let names: BTreeSet<&str> = assignors.iter().map(|assignor| assignor.name()).collect();
        if assignors.is_empty() || names.len() < assignors.len() {
            return refuse("there has to be at least one assignor, and each name once");
        }
        self.assignors = Some(assignors);
        Ok(())
    }

    /// Reads exactly these partitions, outside of any group's assignment. Those that were read before and are not named
    /// again end; those that are named again go on where they are.
    ///
    /// # Errors
    /// Kind `InvalidState` after `subscribe`, or for a negative partition or offset; `Config` for
    /// [`Start::Committed`] without `group.id`.
    pub fn assign(
        &mut self,
        partitions: impl IntoIterator<Item = (TopicPartition, Start)>,
    ) -> Result<(), Error> {
        let wanted: BTreeMap<TopicPartition, Start> = partitions.into_iter().collect();
        if self.group.is_some() {
            return Err(invalid(
                "`assign` after `subscribe`: the group assigns partitions; call `unsubscribe` first",
            ));
        }
        for (partition, start) in &wanted {
            if partition.partition < 0 || matches!(start, Start::Offset(offset) if *offset < 0) {
                return Err(invalid(format!("cannot read {partition} from {start:?}: it is negative")));
            }
        }
        if wanted.values().any(|start| *start == Start::Committed) {
            self.committer()?;
        }
        self.park();
        drop(self.last_commit());
        let mut gone = self.shared.state().subscription.names();
        gone.retain(|partition| !wanted.contains_key(partition));
        if let Some(auto_commit) = &mut self.auto_commit {
            auto_commit.forget(&gone);
        }
        {
            let mut state = self.shared.state();
            state.subscription.source = if wanted.is_empty() { Source::None } else { Source::Manual };
            gone.iter().for_each(|partition| state.remove(partition));
            for (partition, start) in wanted {
                state.subscription.add(partition, start, false);
            }
        }
        self.register_topics();
        self.shared.work.notify_one();
        Ok(())
    }

    /// The partitions that are read.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.state().subscription.names()
    }

    /// The topics that the group is asked for; for a pattern those that match it, as far as this client matches it itself.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        let matched = self.group.as_ref().map(Group::matched_topics).unwrap_or_default();
        if !matched.is_empty() {
            return matched;
        }
        match &self.shared.state().subscription.source {
            Source::Group(topics) => topics.iter().cloned().collect(),
            Source::None | Source::Manual => Vec::new(),
        }
    }

    /// Who this consumer is to its group at the moment; `None` if it is in no group. It changes with every rebalance.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        let group = self.group.as_ref()?;
        let membership = group.membership();
        Some(GroupMetadata {
            group_id: Arc::clone(group.group_id()),
            generation_id: membership.generation_id,
            member_id: membership.member_id.clone(),
            group_instance_id: membership.group_instance_id.clone(),
        })
    }

    /// Lets partitions rest: none of their records is returned before [`Consumer::resume`]. What is buffered of them
    /// stays. Partitions that the group takes away and gives back do not rest any more.
    ///
    /// What is buffered of them counts in `queued.max.bytes`, and a part of it stays there for as long as they rest: once it
    /// is full of that, nothing is fetched of the other partitions either, before some are resumed, sought or given up.
    /// Each has no more than about three times `max.partition.fetch.bytes`; whoever lets all but a few of many partitions
    /// rest for long, and waits for those, needs room for that.
    ///
    /// # Errors
    /// Kind `InvalidState` if one is not assigned.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.set_paused(partitions, true)
    }

    /// Reads on from partitions that rest.
    ///
    /// # Errors
    /// Kind `InvalidState` if one is not assigned.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.set_paused(partitions, false)
    }

    /// The partitions that rest.
    pub fn paused(&self) -> Vec<TopicPartition> {
        let state = self.shared.state();
        state
            .subscription
            .iter()
            .filter(|(_, assigned)| assigned.paused)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Reads on from elsewhere: [`Start::Offset`] for an offset, or any other [`Start`].
    ///
    /// With `commit.mode=acked`, records that were returned and lie before the new position still have to be acknowledged:
    /// until then no commit passes them. Who gives them up says so by [`Acknowledger::ack_up_to`](crate::Acknowledger::ack_up_to).
    /// Those behind it come again, and their earlier copies can't be acknowledged any more.
    ///
    /// # Errors
    /// Kind `InvalidState` if the partition is not assigned or the offset negative; `Config` for
    /// [`Start::Committed`] without `group.id`.
    pub fn seek(&mut self, partition: &TopicPartition, to: Start) -> Result<(), Error> {
        if to == Start::Committed {
            self.committer()?;
        }
        self.park();
        seek(&self.shared, partition, to)
    }

    /// The offset of the next record to be returned; waits until it is known.
    ///
    /// # Errors
    /// Kind `InvalidState` if the partition is not assigned; after `default.api.timeout.ms` the stage at which
    /// connecting failed (`Dns`, `Connect`, `Tls`, `Sasl`, `Handshake`), or `Timeout`, with the last obstacle; what
    /// `poll` would return about the partition.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn position(&mut self, partition: &TopicPartition) -> Result<i64, Error> {
        self.position_by(partition, self.default_deadline()).await
    }

    /// The same, by `deadline`.
    pub(super) async fn position_by(
        &mut self,
        partition: &TopicPartition,
        deadline: Instant,
    ) -> Result<i64, Error> {
        self.settle();
        loop {
            {
                let mut state = self.shared.state();
                let Some(assigned) = state.subscription.partition(partition) else {
                    return Err(unassigned(partition));
                };
                if let Some(fetching) = assigned.fetching() {
                    return Ok(fetching.position.offset);
                }
                if assigned.reporting
                    && let Some(error) = state.report_of(partition, now(), random())
                {
                    self.shared.work.notify_one();
                    return Err(error);
                }
                if let Some(error) = state.alarm.take() {
                    return Err(error);
                }
            }
            // Another partition's news may come first, and poll has to hear of them again.
            let waited = driver::wait(&self.shared, None, Some(deadline)).await;
            if !waited {
                let timeout = spoken(self.options.default_api_timeout);
                let message = format!("the position of {partition} is not known within {timeout}");
                return Err(Error::gave_up(message, self.obstacle(partition).await));
            }
        }
    }

    /// What keeps a partition's position from being known.
    async fn obstacle(&mut self, partition: &TopicPartition) -> Option<Error> {
        // Without the topic's metadata no broker was asked for the offset, and whatever keeps the metadata away is it.
        match self.client.topic(&partition.topic, now()).await {
            Err(error) => error.cause().cloned().or(Some(error)),
            Ok(_) => self.shared.state().trouble.clone(),
        }
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) -> Result<(), Error> {
        self.park();
        let mut state = self.shared.state();
        if let Some(partition) = partitions.iter().find(|name| state.subscription.partition(name).is_none()) {
            return Err(unassigned(partition));
        }
        for partition in partitions {
            state.subscription.set_paused(partition, paused);
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    fn start_group(
        &mut self,
        interest: Interest,
        listener: Option<Box<dyn RebalanceListener>>,
    ) -> Result<(), Error> {
        let topics: BTreeSet<Arc<str>> = match &interest {
            Interest::Topics(topics) if topics.is_empty() => {
                return Err(invalid("`subscribe` without topics; `unsubscribe` ends a subscription"));
            }
            Interest::Topics(topics) => topics.iter().map(|topic| Arc::from(topic.as_str())).collect(),
            Interest::Pattern(text) if text.is_empty() => {
                return Err(invalid("`subscribe_pattern` without a pattern; `.*` matches every topic"));
            }
            Interest::Pattern(_) => BTreeSet::new(),
        };
        let config = self.group_config()?;
        if self.shared.state().subscription.source == Source::Manual {
            return Err(invalid("`subscribe` after `assign`; call `unsubscribe` first"));
        }
        match &self.group {
            Some(group) => group.set_interest(interest)?,
            None => {
                let group = Group::start(self.client.clone(), config, interest)?;
                group.polled(now());
                self.set_committer(Some(group.committer()));
                self.group = Some(group);
            }
        }
        self.shared.state().subscription.source = Source::Group(topics);
        self.listener = listener;
        if let Some(step) = &mut self.step {
            step.listener_stays = false;
        }
        self.register_topics();
        self.shared.work.notify_one();
        Ok(())
    }
}

/// Sets a position and drops what was fetched for the old one.
pub(super) fn seek(shared: &Shared, partition: &TopicPartition, to: Start) -> Result<(), Error> {
    if matches!(to, Start::Offset(offset) if offset < 0) {
        return Err(invalid(format!("cannot seek {partition} to {to:?}: it is negative")));
    }
    if !shared.state().seek(partition, to) {
        return Err(unassigned(partition));
    }
    shared.work.notify_one();
    Ok(())
}

pub(super) fn unassigned(partition: &TopicPartition) -> Error {
    invalid(format!("{partition} is not assigned to this consumer"))
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidState, message.into())
}
