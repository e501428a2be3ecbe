package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What is committed is read, what is aborted is not.
func commitAndAbort(t *target) error {
	const partitions = 3
	topic, err := t.create("transactions", partitions)
	if err != nil {
		return err
	}
	writer, err := t.transactional("transactions")
	if err != nil {
		return err
	}
	defer writer.Close()
	ctx, cancel := patiently()
	defer cancel()
	for _, one := range []struct {
		what string
		end  kgo.TransactionEndTry
	}{{"one", kgo.TryCommit}, {"two", kgo.TryAbort}, {"three", kgo.TryCommit}, {"four", kgo.TryAbort}, {"five", kgo.TryCommit}} {
		if err := writer.transact(ctx, topic, partitions, one.what, one.end); err != nil {
			return fmt.Errorf("%s: %w", one.what, err)
		}
	}
	committed, err := t.read(topic, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	uncommitted, err := t.read(topic, kgo.ReadUncommitted())
	if err != nil {
		return err
	}
	err = all(
		same("records read committed", words(committed), map[string]int{"one": 30, "three": 30, "five": 30}),
		same("records read uncommitted", words(uncommitted),
			map[string]int{"one": 30, "two": 30, "three": 30, "four": 30, "five": 30}),
		writer.BeginTransaction(),
	)
	if err != nil {
		return err
	}
	writer.sendTexts(topic, partitions, "six", 30)
	if _, err := writer.finish(); err != nil {
		return err
	}
	open, err := t.read(topic, kgo.ReadCommitted())
	err = all(err, same("records read of an open transaction", words(open)["six"], 0),
		writer.EndTransaction(ctx, kgo.TryCommit))
	if err != nil {
		return err
	}
	closed, err := t.read(topic, kgo.ReadCommitted())
	return all(err, same("records read after the last commit", words(closed)["six"], 30))
}

// Offsets go with the transaction that they are part of.
func transactionOffsets(t *target) error {
	input, err := t.create("input", 1)
	if err != nil {
		return err
	}
	output, err := t.create("output", 1)
	if err != nil {
		return err
	}
	source, err := t.writer()
	if err != nil {
		return err
	}
	defer source.Close()
	source.sendTexts(input, 1, "in", 20)
	if _, err := source.finish(); err != nil {
		return err
	}
	admin, err := t.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	group := t.name("transaction-offsets")
	session, err := t.session(group, input)
	if err != nil {
		return err
	}
	for _, one := range []struct {
		what     string
		end      kgo.TransactionEndTry
		expected int64
	}{{"aborted", kgo.TryAbort, -1}, {"committed", kgo.TryCommit, 20}} {
		if err := session.Begin(); err != nil {
			return err
		}
		// After the abort, the same records come again.
		for read := 0; read < 20; {
			fetches := session.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return fmt.Errorf("reading what is to be %s: %w", one.what, err)
			}
			read += fetches.NumRecords()
		}
		for n := range int32(20) {
			record := text(0, fmt.Sprint(one.what, " ", n))
			record.Topic = output
			session.Produce(ctx, record, nil)
		}
		committed, err := session.End(ctx, one.end)
		err = all(err, same("ended by a commit", committed, bool(one.end)),
			eventually(fmt.Sprint("the committed offset is ", one.expected), func() (bool, error) {
				offsets, err := admin.FetchOffsets(ctx, group)
				found, known := offsets.Lookup(input, 0)
				return (known && found.At == one.expected) || (!known && one.expected == -1), all(err, found.Err)
			}))
		if err != nil {
			return err
		}
	}
	session.Close()
	source.sendTexts(input, 1, "more", 1)
	if _, err := source.finish(); err != nil {
		return err
	}
	next, err := t.session(group, input)
	if err != nil {
		return err
	}
	defer next.Close()
	fetches := next.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		return err
	}
	found, err := t.read(output, kgo.ReadCommitted())
	return all(err, same("the next member's first record", string(fetches.Records()[0].Value), "more 0"),
		same("records of the output", words(found), map[string]int{"committed": 20}))
}

// An older producer of the same transactional id is fenced.
func fencing(t *target) error {
	topic, err := t.create("fencing", 1)
	if err != nil {
		return err
	}
	first, err := t.transactional("fencing")
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := t.transactional("fencing")
	if err != nil {
		return err
	}
	defer second.Close()
	ctx, cancel := patiently()
	defer cancel()
	if err := first.BeginTransaction(); err != nil {
		return err
	}
	first.sendTexts(topic, 1, "first", 10)
	if _, err := first.finish(); err != nil {
		return err
	}
	// The cluster aborts what the first has begun.
	if err := second.BeginTransaction(); err != nil {
		return err
	}
	second.sendTexts(topic, 1, "second", 10)
	if _, err := second.finish(); err != nil {
		return err
	}
	late := first.EndTransaction(ctx, kgo.TryCommit)
	if !errors.Is(late, kerr.ProducerFenced) && !errors.Is(late, kerr.InvalidProducerEpoch) {
		return fmt.Errorf("the fenced producer got %v", late)
	}
	if err := second.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	found, err := t.read(topic, kgo.ReadCommitted())
	return all(err, same("records read", words(found), map[string]int{"second": 10}))
}

func (t *target) transactional(what string) (*writer, error) {
	return t.writer(kgo.TransactionalID(t.name(what)), kgo.TransactionTimeout(time.Minute))
}

func (t *target) session(group, topic string) (*kgo.GroupTransactSession, error) {
	return kgo.NewGroupTransactSession(
		kgo.SeedBrokers(strings.Split(t.bootstrap, ",")...), kgo.ClientID("interop-franz-go"),
		kgo.TransactionalID(group), kgo.TransactionTimeout(time.Minute),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
	)
}

func (w *writer) transact(ctx context.Context, topic string, partitions int32, what string, end kgo.TransactionEndTry) error {
	if err := w.BeginTransaction(); err != nil {
		return err
	}
	w.sendTexts(topic, partitions, what, 30)
	if _, err := w.finish(); err != nil {
		return err
	}
	return w.EndTransaction(ctx, end)
}
