import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A group with one member, then two, then one: a second member joins and the first one leaves, each member commits, and
 * between the changes {@code records} records go to each partition. Prints {@code first partition offset} or
 * {@code second partition offset} for each record that was read, {@code shared first second} with the numbers of
 * partitions that the two had together, and {@code committed partition offset} for what the group has committed at the end.
 *
 * Arguments: bootstrap, classic or consumer (the group's protocol), group, topic, its number of partitions, records.
 */
public class Group {
    private static final long DEADLINE = System.currentTimeMillis() + 50_000;

    private final String[] args;
    private final int partitions;
    private final int records;
    private final Set<String> read = new TreeSet<>();
    private final List<String> lines = new ArrayList<>();
    private int written;

    private Group(String[] args) {
        this.args = args;
        partitions = Integer.parseInt(args[4]);
        records = Integer.parseInt(args[5]);
    }

    public static void main(String[] args) throws Exception {
        new Group(args).run();
    }

    private void run() throws Exception {
        Member first = new Member("first");
        until("the first member has all", () -> first.assigned() == partitions, first);
        write();
        until("the first member reads all", this::isAllRead, first);
        first.consumer.commitSync();

        Member second = new Member("second");
        until("both share", () -> first.assigned() == partitions / 2 && second.assigned() == partitions / 2, first, second);
        lines.add("shared " + first.assigned() + " " + second.assigned());
        write();
        until("both read all", this::isAllRead, first, second);
        first.consumer.commitSync();
        second.consumer.commitSync();

        first.consumer.close();
        until("the second member has all", () -> second.assigned() == partitions, second);
        write();
        until("the second member reads all", this::isAllRead, second);
        second.consumer.commitSync();
        committed(second);
        second.consumer.close();
        System.out.println(String.join("\n", lines));
    }

    private boolean isAllRead() {
        return read.size() >= written;
    }

    private void until(String what, BooleanSupplier done, Member... members) {
        while (!done.getAsBoolean()) {
            if (System.currentTimeMillis() > DEADLINE) {
                StringBuilder state = new StringBuilder();
                for (Member member : members) {
                    state.append(' ').append(member.name).append(' ').append(member.consumer.assignment());
                }
                System.err.println("not in time: " + what + ";" + state + ", " + read.size() + " of " + written + " read");
                System.exit(3);
            }
            for (Member member : members) {
                member.poll();
            }
        }
    }

    private void write() throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int at = 0; at < records * partitions; at++) {
                futures.add(producer.send(new ProducerRecord<>(args[3], at % partitions, null, new byte[at % 50])));
            }
        }
        for (Future<RecordMetadata> future : futures) {
            future.get();
        }
        written += futures.size();
    }

    private void committed(Member member) {
        Set<TopicPartition> all = new TreeSet<>((a, b) -> Integer.compare(a.partition(), b.partition()));
        for (int partition = 0; partition < partitions; partition++) {
            all.add(new TopicPartition(args[3], partition));
        }
        Map<Integer, Long> offsets = new TreeMap<>();
        for (Map.Entry<TopicPartition, OffsetAndMetadata> entry : member.consumer.committed(all).entrySet()) {
            offsets.put(entry.getKey().partition(), entry.getValue() == null ? -1 : entry.getValue().offset());
        }
        offsets.forEach((partition, offset) -> lines.add("committed " + partition + " " + offset));
    }

    private final class Member {
        private final String name;
        private final KafkaConsumer<byte[], byte[]> consumer;

        private Member(String name) {
            this.name = name;
            Properties properties = new Properties();
            properties.put("bootstrap.servers", args[0]);
            properties.put("group.protocol", args[1]);
            properties.put("group.id", args[2]);
            properties.put("auto.offset.reset", "earliest");
            properties.put("enable.auto.commit", "false");
            if (args[1].equals("classic")) {
                properties.put("heartbeat.interval.ms", "200");
            }
            consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(List.of(args[3]));
        }

        private int assigned() {
            return consumer.assignment().size();
        }

        private void poll() {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                lines.add(name + " " + record.partition() + " " + record.offset());
                read.add(record.partition() + " " + record.offset());
            }
        }
    }
}
