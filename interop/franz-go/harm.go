package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Brokers die, stop and come back under a producer: nothing is lost, doubled or out of order.
func brokerLoss(t *target) error {
	const partitions = 3
	topic, err := t.create("broker-loss", partitions)
	if err != nil {
		return err
	}
	writer, err := t.writer()
	if err != nil {
		return err
	}
	defer writer.Close()
	for _, harm := range []string{"kill 2", "restart 2", "stop 1", "restart 1", "kill 3", "restart 3"} {
		for n := range 50 {
			writer.sendTexts(topic, partitions, fmt.Sprint(harm, " ", n), 6)
			// A few at a time, so that requests are under way when it happens.
			time.Sleep(time.Millisecond)
		}
		if strings.HasPrefix(harm, "restart") {
			// The others are good enough.
			if _, err := writer.finish(); err != nil {
				return err
			}
		}
		if err := ask(harm); err != nil {
			return err
		}
	}
	writer.sendTexts(topic, partitions, "after", 60)
	expected, err := writer.finish()
	if err != nil {
		return err
	}
	found, err := t.read(topic, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	for partition := range int32(partitions) {
		if err := same("records in a partition", len(found[partition]), len(expected[partition])); err != nil {
			return err
		}
		for n, record := range found[partition] {
			if err := same("a record", string(record.Value), string(expected[partition][n].Value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A group goes on reading and committing while each of the brokers, and so its coordinator, is away in turn.
func brokerLossGroup(t *target) error {
	const partitions = 3
	topic, err := t.create("broker-loss-group", partitions)
	if err != nil {
		return err
	}
	group := t.name("broker-loss-group")
	consumer, err := t.client(
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
	)
	if err != nil {
		return err
	}
	defer consumer.Close()
	seen, total := map[string]int{}, 0
	poll := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		consumer.PollFetches(ctx).EachRecord(func(record *kgo.Record) { seen[string(record.Value)]++ })
	}
	for _, harm := range []string{"kill 1", "restart 1", "kill 2", "restart 2", "stop 3", "restart 3"} {
		writer, err := t.writer()
		if err != nil {
			return err
		}
		writer.sendTexts(topic, partitions, harm, 30)
		_, err = writer.finish()
		writer.Close()
		if err != nil {
			return err
		}
		total += 30
		for end := time.Now().Add(2 * patience); len(seen) < total; poll() {
			if time.Now().After(end) {
				return fmt.Errorf("%d of %d records read at `%s`", len(seen), total, harm)
			}
		}
		err = eventually("the positions are committed", func() (bool, error) {
			poll()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
				return false, err
			}
			// A new one, for it keeps to a coordinator that it cannot reach.
			admin, err := t.admin()
			if err != nil {
				return false, err
			}
			defer admin.Close()
			committed, err := admin.FetchOffsets(ctx, group)
			sum := int64(0)
			committed.Each(func(one kadm.OffsetResponse) { sum += max(one.At, 0) })
			return sum == int64(total), err
		})
		if err == nil {
			err = ask(harm)
		}
		if err != nil {
			return err
		}
	}
	return same("different records", len(seen), total)
}

var answers = bufio.NewReader(os.Stdin)

// Has harm done by whoever started us: `harm kill 2` on stdout asks for it, `done` on stdin says that it has happened.
func ask(harm string) error {
	fmt.Println("harm", harm)
	answer, err := answers.ReadString('\n')
	if err == nil && answer != "done\n" {
		err = errors.New("the answer to harm is " + answer)
	}
	return err
}
