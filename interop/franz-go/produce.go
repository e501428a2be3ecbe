package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Idempotent producing with every codec; what is read is what was sent.
func codecs(t *target) error {
	const partitions = 3
	topic, err := t.create("codecs", partitions)
	if err != nil {
		return err
	}
	expected := map[int32][]*kgo.Record{}
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		writer, err := t.writer(kgo.ProducerBatchCompression(codec))
		if err != nil {
			return err
		}
		for n := range int32(300) {
			writer.send(topic, shaped(n, partitions, name))
		}
		sent, err := writer.finish()
		writer.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for partition, records := range sent {
			expected[partition] = append(expected[partition], records...)
		}
	}
	found, err := t.read(topic, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	for partition, expected := range expected {
		if err := same("records in a partition", len(found[partition]), len(expected)); err != nil {
			return err
		}
		for n, record := range found[partition] {
			if err := sameRecord(record, expected[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Records of all shapes: without and with key, value and headers, empty and large.
func shaped(n, partitions int32, codec string) *kgo.Record {
	noise := func(length int) []byte {
		source, bytes := rand.New(rand.NewPCG(uint64(n), 1)), make([]byte, length)
		for at := range bytes {
			bytes[at] = byte(source.Uint32())
		}
		return bytes
	}
	record := text(n%partitions, "")
	switch n % 5 {
	case 0:
		record.Value = nil
	case 1:
		record.Value = []byte{}
	case 2:
		record.Value = noise(1000)
	case 3:
		record.Value = []byte(strings.Repeat(fmt.Sprint(codec, " ", n, " "), 500))
	default:
		record.Value = fmt.Append(nil, codec, " ", n)
	}
	if n%2 == 0 {
		record.Key = fmt.Append(nil, "key ", n)
	}
	for id := range int(n % 4) {
		header := kgo.RecordHeader{Key: fmt.Sprint("h", id)}
		if id%2 == 0 {
			header.Value = noise(id)
		}
		record.Headers = append(record.Headers, header)
	}
	return record
}

func sameRecord(found, expected *kgo.Record) error {
	identical := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	ok := found.Offset == expected.Offset && found.Timestamp.Equal(expected.Timestamp) &&
		identical(found.Key, expected.Key) && identical(found.Value, expected.Value) &&
		len(found.Headers) == len(expected.Headers)
	for n := range expected.Headers {
		ok = ok && found.Headers[n].Key == expected.Headers[n].Key &&
			identical(found.Headers[n].Value, expected.Headers[n].Value)
	}
	if ok {
		return nil
	}
	return same("a record", *found, *expected)
}
