package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// seen is what was read; sum makes sure that each value has been touched.
type seen struct {
	records, bytes int64
	sum            uint64
}

func (s *seen) look(record *kgo.Record) {
	s.records++
	s.bytes += int64(len(record.Key) + len(record.Value))
	if n := len(record.Value); n > 0 {
		s.sum += uint64(record.Value[0]) + uint64(record.Value[n-1])
	}
}

// reader is a client without a group that reads the topic from its start.
func reader(s *settings) (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(strings.Split(s.brokers, ",")...),
		kgo.ConsumeTopics(s.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
}

// read looks at `count` records at least.
func read(client *kgo.Client, s *settings, count int64) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	all := seen{}
	for all.records < count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, err
		}
		fetches.EachRecord(all.look)
	}
	keyBytes := 0
	if s.key != "none" {
		if _, err := fmt.Sscan(s.key, &keyBytes); err != nil {
			return 0, err
		}
	}
	if all.bytes != all.records*int64(s.size+keyBytes) {
		return 0, fmt.Errorf("%d bytes in %d records", all.bytes, all.records)
	}
	return all.records, nil
}

// bounce writes a record and reads it back, one after the other; how long each took.
func bounce(s *settings, warmup, count int64) ([]time.Duration, float64, float64, float64, error) {
	fail := func(err error) ([]time.Duration, float64, float64, float64, error) { return nil, 0, 0, 0, err }
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(s.brokers, ",")...),
		kgo.ProducerLinger(time.Duration(s.lingerMs)*time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {0: kgo.NewOffset().AtEnd()}}),
	)
	if err != nil {
		return fail(err)
	}
	defer client.Close()
	ctx := context.Background()
	// The end is looked up in the background.
	first, cancel := context.WithTimeout(ctx, time.Second)
	client.PollFetches(first)
	cancel()
	value := []byte(strings.Repeat("x", s.size))
	var latencies []time.Duration
	var user, system float64
	var began time.Time
	for i := range warmup + count {
		if i == warmup {
			user, system = processorTime()
			began = time.Now()
		}
		start := time.Now()
		client.Produce(ctx, &kgo.Record{Topic: s.topic, Value: value}, nil)
		for back := 0; back == 0; {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return fail(err)
			}
			back = fetches.NumRecords()
		}
		if i >= warmup {
			latencies = append(latencies, time.Since(start))
		}
	}
	userAfter, systemAfter := processorTime()
	return latencies, time.Since(began).Seconds(), userAfter - user, systemAfter - system, nil
}
