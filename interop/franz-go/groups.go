package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const groupPartitions = 6

func groupRange(t *target) error {
	return share(t, "range", kgo.Balancers(kgo.RangeBalancer()))
}

func groupCooperative(t *target) error {
	return share(t, "cooperative", kgo.Balancers(kgo.CooperativeStickyBalancer()))
}

func groupConsumer(t *target) error {
	return all(
		share(t, "consumer", kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())),
		share(t, "consumer-range", kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer())),
	)
}

// A group of two: partitions are shared, moved on rebalances and taken up where they were committed. Every record is read
// exactly once, because a member commits what it has read before it gives partitions up.
func share(t *target, what string, options ...kgo.Opt) error {
	g, err := t.group(what, options...)
	if err != nil {
		return err
	}
	defer g.writer.Close()
	seen := seenRecords{}
	if err := g.write(180); err != nil {
		return err
	}
	a, err := g.member(g.topic)
	if err != nil {
		return err
	}
	err = seen.pump("the first member has everything", func() bool { return a.count() == 6 && len(seen) > 30 }, a)
	if err != nil {
		return err
	}
	if what == "consumer" || what == "consumer-range" {
		// The client would fall back to the old protocol without a word.
		if err := g.isNew(t); err != nil {
			return err
		}
	}
	b, err := g.member(g.topic)
	if err != nil {
		return err
	}
	err = all(
		seen.pump("both members have half", func() bool { return a.count() == 3 && b.count() == 3 }, a, b),
		seen.pump("all records are read", func() bool { return len(seen) == 180 }, a, b),
	)
	if err != nil {
		return err
	}
	union := a.partitions()
	for partition := range b.partitions() {
		union[partition] = true
	}
	err = all(
		same("the partitions of both", len(union), 6),
		g.write(60),
		seen.pump("later records are read", func() bool { return len(seen) == 240 }, a, b),
	)
	if err != nil {
		return err
	}
	err = all(
		b.leave(),
		seen.pump("the one who stays has everything", func() bool { return a.count() == 6 }, a),
		g.write(60),
		seen.pump("the one who stays reads all", func() bool { return len(seen) == 300 }, a),
		a.leave(),
		g.write(60),
	)
	if err != nil {
		return err
	}
	c, err := g.member(g.topic)
	if err != nil {
		return err
	}
	err = all(seen.pump("a new member goes on", func() bool { return len(seen) >= 360 }, c), c.leave())
	for place, times := range seen {
		if times != 1 {
			err = all(err, fmt.Errorf("%v was read %d times", place, times))
		}
	}
	return err
}

func groupStatic(t *target) error {
	g, err := t.group("static", kgo.Balancers(kgo.RangeBalancer()))
	if err != nil {
		return err
	}
	defer g.writer.Close()
	seen := seenRecords{}
	a, b, err := g.comeBack(seen)
	if err != nil {
		return err
	}
	successor, err := g.member(g.topic, kgo.InstanceID("two"))
	if err != nil {
		return err
	}
	if err := seen.refused(b, kerr.FencedInstanceID, successor); err != nil {
		return err
	}
	b.client.CloseAllowingRebalance()
	return all(a.leave(), successor.leave())
}

func groupConsumerRegex(t *target) error {
	one, err := t.group("consumer-regex-one", kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	if err != nil {
		return err
	}
	defer one.writer.Close()
	if err := one.write(60); err != nil {
		return err
	}
	topics := map[string]bool{one.topic: true}
	for _, what := range []string{"consumer-regex-two", "consumer-other"} {
		other, err := t.group(what)
		if err != nil {
			return err
		}
		defer other.writer.Close()
		if err := other.write(60); err != nil {
			return err
		}
		topics[other.topic] = what == "consumer-regex-two"
	}
	// The cluster looks for topics, not the client.
	m, err := one.member("^franz-consumer-regex-(one|two)-.*", kgo.ConsumeRegex())
	if err != nil {
		return err
	}
	for end, read := time.Now().Add(patience), 0; read < 120; {
		if time.Now().After(end) {
			return fmt.Errorf("%d of 120 records were read", read)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		fetches := m.client.PollFetches(ctx)
		cancel()
		read += fetches.NumRecords()
		for _, record := range fetches.Records() {
			if err := same(record.Topic+" was asked for", topics[record.Topic], true); err != nil {
				return err
			}
		}
		m.client.AllowRebalance()
	}
	return all(one.isNew(t), m.leave())
}

// A static member that ends does not leave: when it is back, it has what it had and the other has noticed nothing.
func (g *group) comeBack(seen seenRecords) (a, b *member, err error) {
	if err := g.write(60); err != nil {
		return nil, nil, err
	}
	if a, err = g.member(g.topic, kgo.InstanceID("one")); err != nil {
		return nil, nil, err
	}
	if b, err = g.member(g.topic, kgo.InstanceID("two")); err != nil {
		return nil, nil, err
	}
	err = all(
		seen.pump("both members have half", func() bool { return a.count() == 3 && b.count() == 3 }, a, b),
		seen.pump("all records are read", func() bool { return len(seen) == 60 }, a, b),
	)
	if err != nil {
		return nil, nil, err
	}
	owned, rebalances := b.partitions(), a.rebalanced()
	if err := b.leave(); err != nil {
		return nil, nil, err
	}
	if b, err = g.member(g.topic, kgo.InstanceID("two")); err != nil {
		return nil, nil, err
	}
	back := func() bool { return same("", b.partitions(), owned) == nil }
	return a, b, all(
		seen.pump("the member is back with what it had", back, a, b),
		g.write(60),
		seen.pump("later records are read", func() bool { return len(seen) == 120 }, a, b),
		same("rebalances of the other since", a.rebalanced(), rebalances),
	)
}

// A topic and the group that reads it.
type group struct {
	target      *target
	topic, name string
	writer      *writer
	options     []kgo.Opt
}

func (t *target) group(what string, options ...kgo.Opt) (*group, error) {
	topic, err := t.create(what, groupPartitions)
	if err != nil {
		return nil, err
	}
	writer, err := t.writer()
	return &group{t, topic, t.name(what), writer, options}, err
}

func (g *group) write(count int32) error {
	g.writer.sendTexts(g.topic, groupPartitions, "text", count)
	_, err := g.writer.finish()
	return err
}

func (g *group) isNew(t *target) error {
	admin, err := t.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := patiently()
	defer cancel()
	described, err := admin.DescribeConsumerGroups(ctx, g.name)
	found := described[g.name]
	return all(err, found.Err, same("the group's members in the new protocol", len(found.Members), 1))
}

type member struct {
	client     *kgo.Client
	lock       sync.Mutex
	owned      map[int32]bool
	rebalances int
	failed     error
}

func (g *group) member(topic string, options ...kgo.Opt) (*member, error) {
	m := &member{owned: map[int32]bool{}}
	change := func(changed map[string][]int32, owned bool, err error) {
		m.lock.Lock()
		defer m.lock.Unlock()
		m.rebalances++
		m.failed = all(m.failed, err)
		for _, partition := range changed[g.topic] {
			if owned {
				m.owned[partition] = true
			} else {
				delete(m.owned, partition)
			}
		}
	}
	options = append(options, g.options...)
	options = append(options,
		kgo.ConsumerGroup(g.name), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			change(assigned, true, nil)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, revoked map[string][]int32) {
			err := client.CommitUncommittedOffsets(ctx)
			if err != nil {
				err = fmt.Errorf("committing before partitions go: %w", err)
			}
			change(revoked, false, err)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			change(lost, false, nil)
		}),
	)
	client, err := g.target.client(options...)
	m.client = client
	return m, err
}

func (m *member) partitions() map[int32]bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return keys(m.owned)
}

func (m *member) count() int {
	return len(m.partitions())
}

func (m *member) rebalanced() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.rebalances
}

func (m *member) failure() error {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.failed
}

func (m *member) leave() error {
	m.client.CloseAllowingRebalance()
	return m.failure()
}

type place struct {
	partition int32
	offset    int64
}

// How often each record was read.
type seenRecords map[place]int

// Lets all members work until `done` says so.
func (s seenRecords) pump(what string, done func() bool, members ...*member) error {
	for end := time.Now().Add(patience); !done(); {
		if time.Now().After(end) {
			owned := []map[int32]bool{}
			for _, member := range members {
				owned = append(owned, member.partitions())
			}
			return fmt.Errorf("not within %v: %s; %d read, owned %v", patience, what, len(s), owned)
		}
		for _, member := range members {
			if err := s.poll(member); err != nil {
				return err
			}
		}
	}
	return nil
}

// Lets all work until one of them gets this error.
func (s seenRecords) refused(one *member, expected error, others ...*member) error {
	for end := time.Now().Add(patience); ; {
		for _, other := range others {
			if err := s.poll(other); err != nil {
				return err
			}
		}
		if errors.Is(s.poll(one), expected) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("nobody got %v", expected)
		}
	}
}

func (s seenRecords) poll(m *member) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	fetches := m.client.PollFetches(ctx)
	fetches.EachRecord(func(record *kgo.Record) { s[place{record.Partition, record.Offset}]++ })
	m.client.AllowRebalance()
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			return failed.Err
		}
	}
	return m.failure()
}
