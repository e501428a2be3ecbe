// The produce benchmark's peer in Go: franz-go, with the flags and the JSON line of `drive`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type settings struct {
	mode, brokers, topic, key, compression, acks, spread    string
	records, warmup                                         int64
	size, partitions, tasks, lingerMs, batchBytes, bufBytes int
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(1)
	}
}

func parse() settings {
	var s settings
	flag.String("peer", "franz-go", "ignored")
	flag.StringVar(&s.mode, "mode", "produce", "produce, produce-await, consume or latency")
	flag.Int64Var(&s.records, "records", 1_000_000, "records to measure")
	flag.Int64Var(&s.warmup, "warmup", -1, "records before; a tenth by default")
	flag.IntVar(&s.size, "size", 100, "bytes of a value")
	flag.StringVar(&s.key, "key", "none", "none or bytes of a key")
	flag.StringVar(&s.compression, "compression", "none", "the codec")
	flag.StringVar(&s.acks, "acks", "all", "all, 1 or 0")
	flag.StringVar(&s.brokers, "brokers", "127.0.0.1:9092", "bootstrap list")
	flag.StringVar(&s.topic, "topic", "bench", "an existing topic")
	flag.IntVar(&s.partitions, "partitions", 3, "its partitions")
	flag.IntVar(&s.tasks, "tasks", 1, "goroutines that send")
	flag.StringVar(&s.spread, "spread", "own", "own: the client's partitioner; robin: record by record")
	flag.IntVar(&s.lingerMs, "linger-ms", -1, "5, or 0 for produce-await")
	flag.IntVar(&s.batchBytes, "batch-bytes", 1<<20, "bytes of a batch")
	flag.IntVar(&s.bufBytes, "buffer-bytes", 64<<20, "bytes buffered")
	flag.Int("active", 0, "ignored")
	flag.Parse()
	if s.warmup < 0 {
		s.warmup = min(s.records/10, 1_000_000)
	}
	if s.lingerMs < 0 {
		s.lingerMs = 5
		if s.mode == "produce-await" || s.mode == "latency" {
			s.lingerMs = 0
		}
	}
	return s
}

func (s *settings) options() ([]kgo.Opt, string, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(s.brokers, ",")...),
		kgo.DefaultProduceTopic(s.topic),
		kgo.ProducerLinger(time.Duration(s.lingerMs) * time.Millisecond),
		kgo.ProducerBatchMaxBytes(int32(s.batchBytes)),
		kgo.MaxBufferedRecords(max(s.bufBytes/64, 1000)),
		kgo.MaxBufferedBytes(s.bufBytes),
	}
	idempotent := s.acks == "all"
	switch s.acks {
	case "all":
		options = append(options, kgo.RequiredAcks(kgo.AllISRAcks()))
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, "", fmt.Errorf("no acks %q", s.acks)
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, known := codecs[s.compression]
	if !known {
		return nil, "", fmt.Errorf("no codec %q", s.compression)
	}
	options = append(options, kgo.ProducerBatchCompression(codec))
	partitioner := "StickyKeyPartitioner"
	switch {
	case s.spread == "robin":
		options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		partitioner = "ManualPartitioner"
	default:
		options = append(options, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	}
	text := fmt.Sprintf("linger %d ms, batch %d B, buffered %d B and %d records, idempotent %t, acks %s, %s, %s, a promise per record",
		s.lingerMs, s.batchBytes, s.bufBytes, max(s.bufBytes/64, 1000), idempotent, s.acks, s.compression, partitioner)
	return options, text, nil
}

func run() error {
	s := parse()
	options, text, err := s.options()
	if err != nil {
		return err
	}
	load, err := newLoad(&s)
	if err != nil {
		return err
	}
	switch s.mode {
	case "latency":
		latencies, elapsed, user, system, err := bounce(&s, s.warmup, s.records)
		if err != nil {
			return err
		}
		return report(&s, load, s.warmup, s.records, elapsed, user, system, latencies, "defaults, no linger, PollFetches, "+runtime.Version())
	case "consume":
		client, err := reader(&s)
		if err != nil {
			return err
		}
		defer client.Close()
		warmup, err := read(client, &s, s.warmup)
		if err != nil {
			return err
		}
		user, system := processorTime()
		began := time.Now()
		records, err := read(client, &s, s.records)
		if err != nil {
			return err
		}
		elapsed := time.Since(began).Seconds()
		userAfter, systemAfter := processorTime()
		return report(&s, load, warmup, records, elapsed, userAfter-user, systemAfter-system, nil,
			"defaults, no group, PollFetches, "+runtime.Version())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()

	send := produce
	if s.mode == "produce-await" {
		send = produceAwaiting
	}
	if _, err := send(client, load, &s, 0, s.warmup); err != nil {
		return err
	}
	user, system := processorTime()
	began := time.Now()
	latencies, err := send(client, load, &s, s.warmup, s.records)
	if err != nil {
		return err
	}
	elapsed := time.Since(began).Seconds()
	userAfter, systemAfter := processorTime()
	return report(&s, load, s.warmup, s.records, elapsed, userAfter-user, systemAfter-system, latencies,
		text+", "+runtime.Version())
}

// report prints the line of JSON.
func report(s *settings, load *load, warmup, count int64, elapsed, user, system float64, latencies []time.Duration, text string) error {
	records := float64(count)
	line := map[string]any{
		"peer": "franz-go", "mode": s.mode, "records": count, "warmup": warmup, "size": s.size, "key": s.key,
		"compression": s.compression, "acks": s.acks, "partitions": s.partitions, "tasks": s.tasks, "spread": s.spread,
		"seconds": elapsed, "records_per_s": records / elapsed,
		"mb_per_s":           records * float64(load.bytesEach) / 1e6 / elapsed,
		"cpu_s_per_million":  (user + system) / records * 1e6,
		"user_s_per_million": user / records * 1e6,
		"sys_s_per_million":  system / records * 1e6,
		"peak_rss_mb":        peakRSS(),
		"settings":           text,
	}
	if len(latencies) > 0 {
		slices.Sort(latencies)
		at := func(share float64) float64 {
			return float64(latencies[int(share*float64(len(latencies)-1))].Nanoseconds()) / 1e3
		}
		line["p50_us"], line["p99_us"] = at(0.5), at(0.99)
	}
	return json.NewEncoder(os.Stdout).Encode(line)
}

// produce sends `count` records from all tasks and waits for every promise.
func produce(client *kgo.Client, load *load, s *settings, first, count int64) ([]time.Duration, error) {
	ctx := context.Background()
	var acknowledged atomic.Int64
	var failure atomic.Pointer[error]
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failure.Store(&err)
			return
		}
		acknowledged.Add(1)
	}
	var senders sync.WaitGroup
	tasks := int64(s.tasks)
	for task := range tasks {
		senders.Go(func() {
			for i := first + count*task/tasks; i < first+count*(task+1)/tasks; i++ {
				client.Produce(ctx, load.record(i), promise)
			}
		})
	}
	senders.Wait()
	if err := client.Flush(ctx); err != nil {
		return nil, err
	}
	if err := failure.Load(); err != nil {
		return nil, *err
	}
	if done := acknowledged.Load(); done != count {
		return nil, fmt.Errorf("%d of %d records were acknowledged", done, count)
	}
	return nil, nil
}

// produceAwaiting sends one record after the other, each after the answer to the one before.
func produceAwaiting(client *kgo.Client, load *load, s *settings, first, count int64) ([]time.Duration, error) {
	ctx := context.Background()
	latencies := make([][]time.Duration, s.tasks)
	failures := make([]error, s.tasks)
	var senders sync.WaitGroup
	tasks := int64(s.tasks)
	for task := range tasks {
		senders.Go(func() {
			for i := first + count*task/tasks; i < first+count*(task+1)/tasks; i++ {
				began := time.Now()
				if err := client.ProduceSync(ctx, load.record(i)).FirstErr(); err != nil {
					failures[task] = err
					return
				}
				latencies[task] = append(latencies[task], time.Since(began))
			}
		})
	}
	senders.Wait()
	return slices.Concat(latencies...), errors.Join(failures...)
}

// load holds the same keys and values as those of the other peers.
type load struct {
	values, keys [][]byte
	bytesEach    int
	robin        int64
}

const pool = 4096

var words = strings.Fields("order user price item total count time zone city name first last email phone street north " +
	"south east west green blue red black white small large open closed true false null active " +
	"pending sent paid card cash coin euro dollar pound kilo gram meter mile hour minute second " +
	"day week month year spring summer autumn winter monday sunday morning evening noon night early late")

func newLoad(s *settings) (*load, error) {
	l := &load{bytesEach: s.size}
	if s.spread == "robin" {
		l.robin = int64(s.partitions)
	}
	keyBytes := 0
	if s.key != "none" {
		var err error
		if keyBytes, err = strconv.Atoi(s.key); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		l.bytesEach += keyBytes
	}
	for i := range uint64(pool) {
		l.values = append(l.values, text(i, s.size))
		if s.key != "none" {
			l.keys = append(l.keys, text(i|1<<32, keyBytes))
		}
	}
	return l, nil
}

// text makes `size` bytes of words, the same ones for the same seed in every peer.
func text(seed uint64, size int) []byte {
	state := seed*6364136223846793005 + 1442695040888963407
	made := make([]byte, 0, size+16)
	for len(made) < size {
		state = state*6364136223846793005 + 1442695040888963407
		made = append(made, words[state>>58]...)
		made = append(made, ' ')
	}
	return made[:size]
}

func (l *load) record(i int64) *kgo.Record {
	record := &kgo.Record{Value: l.values[i%pool]}
	if l.keys != nil {
		record.Key = l.keys[i%pool]
	}
	if l.robin > 0 {
		record.Partition = int32(i % l.robin)
	}
	return record
}

func processorTime() (user, system float64) {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime), seconds(usage.Stime)
}

func peakRSS() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes / 1024
		}
	}
	return 0
}
