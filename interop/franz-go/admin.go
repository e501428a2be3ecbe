package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func adminTopics(t *target) error {
	admin, err := t.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	topic, retention, jitter := t.name("admin-topics"), "123456789", "77"
	create := func() error {
		_, err := admin.CreateTopic(ctx, 2, 3, map[string]*string{"retention.ms": &retention}, topic)
		return err
	}
	shape := func() (string, error) {
		topics, err := admin.ListTopics(ctx, topic)
		text := ""
		for _, one := range topics[topic].Partitions.Sorted() {
			text += fmt.Sprintf("%d:%d/%d ", one.Partition, len(one.ISR), len(one.Replicas))
		}
		return text, all(err, topics[topic].Err)
	}
	settings := func() (string, error) {
		described, err := admin.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return "", err
		}
		resource, err := described.On(topic, nil)
		text := map[string]string{}
		for _, one := range resource.Configs {
			text[one.Key] = fmt.Sprint(one.MaybeValue(), " ", one.Source)
		}
		return fmt.Sprintf("%s, %s", text["retention.ms"], text["segment.jitter.ms"]), all(err, resource.Err)
	}
	becomes := func(what string, look func() (string, error), expected string) error {
		last := ""
		err := eventually(what, func() (bool, error) {
			found, err := look()
			last = found
			return found == expected, err
		})
		if err != nil {
			return fmt.Errorf("%w: `%s` instead of `%s`", err, last, expected)
		}
		return nil
	}
	err = all(
		create(),
		refused("creating again", create(), kerr.TopicAlreadyExists),
		becomes("two partitions are described", shape, "0:3/3 1:3/3 "),
		becomes("the settings are described", settings, "123456789 DYNAMIC_TOPIC_CONFIG, 0 DEFAULT_CONFIG"),
		alter(ctx, admin, topic, jitter),
		becomes("the settings are changed", settings, "604800000 DEFAULT_CONFIG, 77 DYNAMIC_TOPIC_CONFIG"),
	)
	if err != nil {
		return err
	}
	more, err := admin.UpdatePartitions(ctx, 4, topic)
	err = all(err, more.Error(), becomes("four partitions are described", shape, "0:3/3 1:3/3 2:3/3 3:3/3 "))
	if err != nil {
		return err
	}
	fewer, err := admin.UpdatePartitions(ctx, 3, topic)
	err = all(err, refused("removing partitions", fewer.Error(), kerr.InvalidPartitions))
	if err != nil {
		return err
	}
	if _, err := admin.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	err = eventually("the topic is gone", func() (bool, error) {
		topics, err := admin.ListTopics(ctx, topic)
		return topics[topic].Err == kerr.UnknownTopicOrPartition, err
	})
	_, again := admin.DeleteTopic(ctx, topic)
	return all(err, refused("deleting again", again, kerr.UnknownTopicOrPartition))
}

// Sets one setting and takes another back: by two changes, or for brokers that know no changes by saying what there is to be.
func alter(ctx context.Context, admin *kadm.Client, topic, jitter string) error {
	versions, err := admin.ApiVersions(ctx)
	if err != nil {
		return err
	}
	set := kadm.AlterConfig{Op: kadm.SetConfig, Name: "segment.jitter.ms", Value: &jitter}
	incremental := false
	for _, broker := range versions {
		_, incremental = broker.KeyMaxVersion(int16(kmsg.IncrementalAlterConfigs))
	}
	var altered kadm.AlterConfigsResponses
	if incremental {
		unset := kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}
		altered, err = admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{set, unset}, topic)
	} else {
		altered, err = admin.AlterTopicConfigsState(ctx, []kadm.AlterConfig{set}, topic)
	}
	if err != nil {
		return err
	}
	one, err := altered.On(topic, nil)
	return all(err, one.Err)
}

func adminGroups(t *target) error {
	topic, err := t.create("admin-groups", 1)
	if err != nil {
		return err
	}
	admin, err := t.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	group := t.name("admin-groups")
	consumer, err := t.client(
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(10*time.Second),
	)
	if err != nil {
		return err
	}
	defer consumer.Close()
	describe := func() (kadm.DescribedGroup, error) {
		described, err := admin.DescribeGroups(ctx, group)
		return described[group], all(err, described[group].Err)
	}
	becomes := func(state, protocolType, protocol string, clients ...string) error {
		return eventually("the group is "+state, func() (bool, error) {
			found, err := describe()
			ids := []string(nil)
			for _, member := range found.Members {
				ids = append(ids, member.ClientID)
			}
			return found.State == state && found.ProtocolType == protocolType && found.Protocol == protocol &&
				same("", ids, clients) == nil, err
		})
	}
	listed := func() (bool, error) {
		groups, err := admin.ListGroups(ctx)
		_, found := groups[group]
		return found, err
	}
	remove := func() error {
		_, err := admin.DeleteGroup(ctx, group)
		return err
	}
	if err := becomes("Stable", "consumer", "range", "interop-franz-go"); err != nil {
		return err
	}
	found, err := listed()
	err = all(err, same("the group is in the list", found, true),
		refused("deleting a group that has members", remove(), kerr.NonEmptyGroup))
	if err != nil {
		return err
	}
	consumer.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 0}}},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, failed error) {
			err = failed
		})
	if err != nil {
		return err
	}
	consumer.Close()
	if err := all(becomes("Empty", "consumer", ""), remove()); err != nil {
		return err
	}
	found, err = listed()
	return all(err, same("a deleted group is in the list", found, false))
}

func adminOffsets(t *target) error {
	topic, err := t.create("admin-offsets", 2)
	if err != nil {
		return err
	}
	writer, err := t.writer()
	if err != nil {
		return err
	}
	defer writer.Close()
	base := time.Now().UnixMilli() - 100_000
	for n := range int64(10) {
		record := text(1, fmt.Sprint("text ", n))
		record.Timestamp = time.UnixMilli(base + 1000*n)
		writer.send(topic, record)
		// Each in a batch of its own, so that they can be deleted apart.
		if _, err := writer.finish(); err != nil {
			return err
		}
	}
	admin, err := t.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	bounds := func() (found [4]int64, err error) {
		starts, err := admin.ListStartOffsets(ctx, topic)
		ends, err2 := admin.ListEndOffsets(ctx, topic)
		for partition := range 2 {
			found[2*partition] = starts[topic][int32(partition)].Offset
			found[2*partition+1] = ends[topic][int32(partition)].Offset
		}
		return found, all(err, err2, starts.Error(), ends.Error())
	}
	found, err := bounds()
	if err := all(err, same("starts and ends", found, [4]int64{0, 0, 0, 10})); err != nil {
		return err
	}
	for time, expected := range map[int64]int64{0: 0, 5_500: 6, 9_000: 9, 9_001: 10} {
		offsets, err := admin.ListOffsetsAfterMilli(ctx, base+time, topic)
		if err := all(err, same("the offset of a time", offsets[topic][1].Offset, expected)); err != nil {
			return err
		}
	}
	cut := kadm.Offsets{}
	cut.AddOffset(topic, 1, 4, -1)
	deleted, err := admin.DeleteRecords(ctx, cut)
	if err := all(err, deleted.Error(), same("the new start", deleted[topic][1].LowWatermark, int64(4))); err != nil {
		return err
	}
	found, err = bounds()
	if err := all(err, same("starts and ends after deleting", found, [4]int64{0, 0, 4, 10})); err != nil {
		return err
	}
	records, err := t.read(topic, kgo.ReadCommitted())
	offsets := []int64{}
	for _, record := range records[1] {
		offsets = append(offsets, record.Offset)
	}
	return all(err, same("the offsets left", offsets, []int64{4, 5, 6, 7, 8, 9}))
}
