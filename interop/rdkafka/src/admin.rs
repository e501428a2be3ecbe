//! Topics, groups and offsets from outside.

use std::time::Duration;

use futures_executor::block_on;
use rdkafka::admin::{
    AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::target::{Outcome, PATIENCE, Record, Target, ensure, eventually, now_ms, patient, same};

pub fn topics(target: &Target) -> Outcome {
    let admin = target.admin()?;
    let name = target.name("admin-topics");
    let new = NewTopic::new(&name, 2, TopicReplication::Fixed(3)).set("retention.ms", "123456789");
    let create = || Ok::<_, Box<dyn std::error::Error>>(block_on(admin.create_topics([&new], &patient()))?);
    same("creating", create()?, vec![Ok(name.clone())])?;
    let exists = vec![Err((name.clone(), RDKafkaErrorCode::TopicAlreadyExists))];
    same("creating again", create()?, exists)?;
    let shape = || -> Outcome<Vec<(i32, usize, usize)>> {
        let metadata = admin.inner().fetch_metadata(Some(&name), PATIENCE)?;
        let topic = metadata.topics().first().ok_or("no topic in the metadata")?;
        Ok(topic.partitions().iter().map(|one| (one.id(), one.replicas().len(), one.isr().len())).collect())
    };
    eventually("two partitions are described", || Ok(shape()? == [(0, 3, 3), (1, 3, 3)]))?;

    let specifier = ResourceSpecifier::Topic(&name);
    let settings = |wanted: [&str; 2]| -> Outcome<Vec<(Option<String>, bool)>> {
        let described = block_on(admin.describe_configs([&specifier], &patient()))?;
        let resource = described.into_iter().next().ok_or("no resource was described")??;
        let one = |name| {
            resource
                .get(name)
                .map(|entry| (entry.value.clone(), matches!(entry.source, ConfigSource::DynamicTopic)))
        };
        Ok(wanted.into_iter().filter_map(one).collect())
    };
    let own = |value: &str| (Some(value.to_owned()), true);
    let default = |value: &str| (Some(value.to_owned()), false);
    let names = ["retention.ms", "segment.jitter.ms"];
    eventually("the settings are described", || Ok(settings(names)? == [own("123456789"), default("0")]))?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("segment.jitter.ms", "77");
    for result in block_on(admin.alter_configs([&change], &patient()))? {
        result.map_err(|(_, code)| format!("changing settings: {code}"))?;
    }
    eventually("the settings are replaced", || Ok(settings(names)? == [default("604800000"), own("77")]))?;

    let more = NewPartitions::new(&name, 4);
    same(
        "adding partitions",
        block_on(admin.create_partitions([&more], &patient()))?,
        vec![Ok(name.clone())],
    )?;
    eventually("four partitions are described", || Ok(shape()?.len() == 4))?;
    let fewer = NewPartitions::new(&name, 3);
    let refused = vec![Err((name.clone(), RDKafkaErrorCode::InvalidPartitions))];
    same("removing partitions", block_on(admin.create_partitions([&fewer], &patient()))?, refused)?;

    same("deleting", block_on(admin.delete_topics(&[&name], &patient()))?, vec![Ok(name.clone())])?;
    eventually("the topic is gone", || Ok(shape()?.is_empty()))?;
    let unknown = vec![Err((name.clone(), RDKafkaErrorCode::UnknownTopicOrPartition))];
    same("deleting again", block_on(admin.delete_topics(&[&name], &patient()))?, unknown)
}

pub fn groups(target: &Target) -> Outcome {
    let admin = target.admin()?;
    let topic = target.create("admin-groups", 1)?;
    let group = target.name("admin-groups");
    let consumer: BaseConsumer = target
        .config(&[("group.id", &group), ("enable.auto.commit", "false"), ("session.timeout.ms", "10000")])
        .create()?;
    consumer.subscribe(&[&topic])?;
    let described = || -> Outcome<Option<(String, String, Vec<String>)>> {
        let list = admin.inner().fetch_group_list(Some(&group), PATIENCE)?;
        Ok(list.groups().first().map(|group| {
            let clients = group.members().iter().map(|member| member.client_id().to_owned()).collect();
            (group.state().to_owned(), group.protocol_type().to_owned(), clients)
        }))
    };
    eventually("the group is stable", || {
        drop(consumer.poll(Duration::from_millis(20)));
        let stable = ("Stable".to_owned(), "consumer".to_owned(), vec!["interop-rdkafka".to_owned()]);
        Ok(described()? == Some(stable))
    })?;
    let list = admin.inner().fetch_group_list(None, PATIENCE)?;
    ensure(list.groups().iter().any(|one| one.name() == group), || {
        "the group is not in the list".to_owned()
    })?;
    let deleted =
        || Ok::<_, Box<dyn std::error::Error>>(block_on(admin.delete_groups(&[&group], &patient()))?);
    let busy = vec![Err((group.clone(), RDKafkaErrorCode::NonEmptyGroup))];
    same("deleting a group that has members", deleted()?, busy)?;
    let mut position = TopicPartitionList::new();
    position.add_partition_offset(&topic, 0, Offset::Offset(0))?;
    consumer.commit(&position, CommitMode::Sync)?;
    drop(consumer);
    eventually("the group is empty", || {
        Ok(described()?.is_some_and(|(state, _, members)| state == "Empty" && members.is_empty()))
    })?;
    same("deleting", deleted()?, vec![Ok(group.clone())])?;
    let list = admin.inner().fetch_group_list(None, PATIENCE)?;
    ensure(list.groups().iter().all(|one| one.name() != group), || {
        "a deleted group is in the list".to_owned()
    })
}

pub fn offsets(target: &Target) -> Outcome {
    let admin = target.admin()?;
    let topic = target.create("admin-offsets", 2)?;
    let writer = target.writer(&[])?;
    let base = now_ms() - 100_000;
    for n in 0..10 {
        writer
            .send(&topic, Record { timestamp: base + 1000 * n, ..Record::text(1, &format!("text {n}")) })?;
        // Each in a batch of its own, so that they can be deleted apart.
        writer.finish()?;
    }
    let group = target.name("admin-offsets");
    let consumer: BaseConsumer = target.config(&[("group.id", &group)]).create()?;
    same("the ends of an empty partition", consumer.fetch_watermarks(&topic, 0, PATIENCE)?, (0, 0))?;
    same("the ends", consumer.fetch_watermarks(&topic, 1, PATIENCE)?, (0, 10))?;
    for (time, expected) in [(0, 0), (5_500, 6), (9_000, 9), (9_001, -1)] {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&topic, 1, Offset::Offset(base + time))?;
        let found = consumer.offsets_for_times(asked, PATIENCE)?;
        let expected = if expected < 0 { Offset::End } else { Offset::Offset(expected) };
        same("the offset of a time", found.elements()[0].offset(), expected)?;
    }
    let mut cut = TopicPartitionList::new();
    cut.add_partition_offset(&topic, 1, Offset::Offset(4))?;
    let deleted = block_on(admin.delete_records(&cut, &patient()))?;
    same("the new start", deleted.elements()[0].offset(), Offset::Offset(4))?;
    same("the ends after deleting", consumer.fetch_watermarks(&topic, 1, PATIENCE)?, (4, 10))?;
    let found = target.read(&topic, 2, "read_committed")?;
    same(
        "the offsets left",
        found[&1].iter().map(|record| record.offset).collect::<Vec<_>>(),
        (4..10).collect(),
    )
}
