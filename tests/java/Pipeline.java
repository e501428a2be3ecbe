import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Reads partition 0 of one topic in a group and writes what it read to partition 0 of another one, ten records and their
 * offsets in a transaction; the first transaction, and then every other one, is aborted and what it read is read again.
 * At the end another producer with the same transactional id fences the first.
 *
 * Prints {@code committed 10} and so on, the group's offset after each transaction; {@code read_committed value} and
 * {@code read_uncommitted value} for each record in the other topic by isolation level; and {@code fenced}.
 *
 * Arguments: bootstrap, group and transactional id, topic to read, topic to write, number of records to read.
 */
public class Pipeline {
    private static final int BATCH = 10;
    private static final long DEADLINE = System.currentTimeMillis() + 50_000;

    public static void main(String[] args) throws Exception {
        List<String> lines = new ArrayList<>();
        TopicPartition source = new TopicPartition(args[2], 0);
        int total = Integer.parseInt(args[4]);
        try (KafkaProducer<String, String> producer = producer(args);
                KafkaConsumer<String, String> consumer = consumer(args, "read_committed", true)) {
            producer.initTransactions();
            consumer.subscribe(List.of(args[2]));
            boolean aborts = true;
            long done = 0;
            while (done < total) {
                List<ConsumerRecord<String, String>> batch = read(consumer, BATCH);
                producer.beginTransaction();
                for (ConsumerRecord<String, String> record : batch) {
                    String fate = aborts ? "aborted " : "kept ";
                    producer.send(new ProducerRecord<>(args[3], 0, null, fate + record.value()));
                }
                long next = batch.get(batch.size() - 1).offset() + 1;
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                offsets.put(source, new OffsetAndMetadata(next));
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                // An abort drops what has not been sent yet.
                producer.flush();
                if (aborts) {
                    producer.abortTransaction();
                    consumer.seek(source, done);
                } else {
                    producer.commitTransaction();
                    done = next;
                }
                aborts = !aborts;
                OffsetAndMetadata committed = consumer.committed(Set.of(source)).get(source);
                lines.add("committed " + (committed == null ? 0 : committed.offset()));
            }
            for (String isolation : List.of("read_committed", "read_uncommitted")) {
                for (String value : readAll(args, isolation)) {
                    lines.add(isolation + " " + value);
                }
            }
            try (KafkaProducer<String, String> usurper = producer(args)) {
                usurper.initTransactions();
                try {
                    producer.beginTransaction();
                    producer.send(new ProducerRecord<>(args[3], 0, null, "fenced"));
                    producer.commitTransaction();
                } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
                    lines.add("fenced");
                }
            }
        }
        System.out.println(String.join("\n", lines));
    }

    private static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        while (records.size() < count) {
            if (System.currentTimeMillis() > DEADLINE) {
                System.err.println(records.size() + " of " + count + " records came in time");
                System.exit(3);
            }
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        }
        return records;
    }

    private static List<String> readAll(String[] args, String isolation) {
        TopicPartition target = new TopicPartition(args[3], 0);
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(args, isolation, false)) {
            consumer.assign(List.of(target));
            consumer.seekToBeginning(List.of(target));
            long end = consumer.endOffsets(List.of(target)).get(target);
            while (consumer.position(target) < end) {
                if (System.currentTimeMillis() > DEADLINE) {
                    System.err.println("read " + values.size() + " values, and not to the end " + end);
                    System.exit(3);
                }
                consumer.poll(Duration.ofMillis(200)).forEach(record -> values.add(record.value()));
            }
        }
        return values;
    }

    private static KafkaProducer<String, String> producer(String[] args) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("transactional.id", args[1]);
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    private static KafkaConsumer<String, String> consumer(String[] args, String isolation, boolean grouped) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        if (grouped) {
            properties.put("group.id", args[1]);
            properties.put("max.poll.records", String.valueOf(BATCH));
        }
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("isolation.level", isolation);
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }
}
