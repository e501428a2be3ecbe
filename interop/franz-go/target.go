package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// How long anything may take that has to happen.
const patience = 30 * time.Second

// The cluster that is looked at, and who we are there.
type target struct {
	bootstrap string
	login     []string
	run       string
}

func newTarget(bootstrap string, login []string) *target {
	return &target{bootstrap, login, fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixMilli())}
}

// A name for a topic, a group or a transactional id that nobody has used on this cluster before.
func (t *target) name(what string) string {
	return "franz-" + what + "-" + t.run
}

// A client; INTEROP_DEBUG makes it say what it does.
func (t *target) client(options ...kgo.Opt) (*kgo.Client, error) {
	level := kgo.LogLevelWarn
	if os.Getenv("INTEROP_DEBUG") != "" {
		level = kgo.LogLevelDebug
	}
	all := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(t.bootstrap, ",")...),
		kgo.ClientID("interop-franz-go"),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, level, func() string { return time.Now().Format("05.000 ") })),
		// As soon as metadata may be fetched again after a partition has moved.
		kgo.MetadataMinAge(100 * time.Millisecond),
		// A partition that has moved is asked for with the next fetch.
		kgo.FetchMaxWait(500 * time.Millisecond),
	}
	return kgo.NewClient(append(all, options...)...)
}

func (t *target) admin() (*kadm.Client, error) {
	client, err := t.client()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(client), nil
}

// Creates a topic with three replicas and waits until its partitions have leaders.
func (t *target) create(what string, partitions int32) (string, error) {
	admin, err := t.admin()
	if err != nil {
		return "", err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	topic, inSync := t.name(what), "2"
	configs := map[string]*string{"min.insync.replicas": &inSync}
	if _, err := admin.CreateTopic(ctx, partitions, 3, configs, topic); err != nil {
		return "", fmt.Errorf("creating %s: %w", topic, err)
	}
	return topic, eventually("the new topic has leaders", func() (bool, error) {
		topics, err := admin.ListTopics(ctx, topic)
		led := 0
		for _, partition := range topics[topic].Partitions {
			if partition.Err == nil && partition.Leader >= 0 {
				led++
			}
		}
		return led == int(partitions), err
	})
}

// A producer that places records where they say.
func (t *target) writer(options ...kgo.Opt) (*writer, error) {
	options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond))
	client, err := t.client(options...)
	return &writer{Client: client}, err
}

// All records of a topic's partitions, up to the end that the isolation level shows.
func (t *target) read(topic string, isolation kgo.IsolationLevel) (map[int32][]*kgo.Record, error) {
	admin, err := t.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	list := admin.ListEndOffsets
	if isolation == kgo.ReadCommitted() {
		list = admin.ListCommittedOffsets
	}
	ends, err := list(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	from, found, open := map[int32]kgo.Offset{}, map[int32][]*kgo.Record{}, map[int32]int64{}
	for partition, end := range ends[topic] {
		from[partition] = kgo.NewOffset().AtStart()
		if end.Offset > starts[topic][partition].Offset {
			open[partition] = end.Offset
		}
	}
	// Markers are kept, for one may be the last that there is.
	client, err := t.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(isolation),
		kgo.KeepControlRecords(),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for len(open) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("reading %s with %v still open: %w", topic, open, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if !record.Attrs.IsControl() {
				found[record.Partition] = append(found[record.Partition], record)
			}
			if record.Offset+1 >= open[record.Partition] {
				delete(open, record.Partition)
			}
		})
	}
	return found, nil
}

// A producer that remembers what it was given and what became of it.
type writer struct {
	*kgo.Client
	sent []*kgo.Record
	done chan error
}

func (w *writer) send(topic string, record *kgo.Record) {
	if w.done == nil {
		w.done = make(chan error, 1<<16)
	}
	record.Topic = topic
	w.sent = append(w.sent, record)
	w.Produce(context.Background(), record, func(_ *kgo.Record, err error) { w.done <- err })
}

// Sends `count` records round robin, with texts that begin with `what`.
func (w *writer) sendTexts(topic string, partitions int32, what string, count int32) {
	for n := range count {
		w.send(topic, text(n%partitions, fmt.Sprint(what, " ", n)))
	}
}

// Waits for all answers since the last call; gives all that was sent, by partition, with the offsets that the cluster gave.
func (w *writer) finish() (map[int32][]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if err := w.Flush(ctx); err != nil {
		return nil, err
	}
	all := map[int32][]*kgo.Record{}
	for len(w.done) > 0 {
		if err := <-w.done; err != nil {
			return nil, fmt.Errorf("a record was not delivered: %w", err)
		}
	}
	for _, record := range w.sent {
		all[record.Partition] = append(all[record.Partition], record)
	}
	return all, nil
}

func text(partition int32, value string) *kgo.Record {
	return &kgo.Record{Partition: partition, Value: []byte(value), Timestamp: time.UnixMilli(time.Now().UnixMilli())}
}

// How many records begin with each word.
func words(found map[int32][]*kgo.Record) map[string]int {
	counts := map[string]int{}
	for _, records := range found {
		for _, record := range records {
			counts[strings.Fields(string(record.Value))[0]]++
		}
	}
	return counts
}

func patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*patience)
}

// Fails unless both are the same.
func same(what string, found, expected any) error {
	if reflect.DeepEqual(found, expected) {
		return nil
	}
	short := func(value any) string {
		text := fmt.Sprintf("%+v", value)
		return text[:min(len(text), 400)]
	}
	return fmt.Errorf("%s: %s instead of %s", what, short(found), short(expected))
}

// Fails unless the error is the one that was asked for.
func refused(what string, found, expected error) error {
	if errors.Is(found, expected) {
		return nil
	}
	return fmt.Errorf("%s: error %v instead of %v", what, found, expected)
}

// Asks again until `holds` says so; an error of its own counts as a no, for clusters need a moment.
func eventually(what string, holds func() (bool, error)) error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		found, err := holds()
		if found && err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s (%v)", patience, what, err)
		}
	}
}

// The first error, in order. All checks have been made by then, so what must not go on after a failure is no argument of one call.
func all(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

func keys[K comparable, V any](of map[K]V) map[K]bool {
	set := map[K]bool{}
	for key := range maps.Keys(of) {
		set[key] = true
	}
	return set
}
