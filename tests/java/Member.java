import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Consumes in a group with the range assignor until it has seen a record with an empty value in each of its partitions;
 * then it commits, leaves, and prints {@code partition offset} for each record.
 *
 * Arguments: bootstrap, group, topic.
 */
public class Member {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("group.id", args[1]);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("partition.assignment.strategy", RangeAssignor.class.getName());
        properties.put("heartbeat.interval.ms", "200");
        List<String> lines = new ArrayList<>();
        Set<Integer> ended = new HashSet<>();
        long deadline = System.currentTimeMillis() + 50_000;
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[2]));
            while (ended.isEmpty() || ended.size() < consumer.assignment().size()) {
                if (System.currentTimeMillis() > deadline) {
                    System.err.println("assigned " + consumer.assignment() + ", ended " + ended);
                    System.exit(3);
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    lines.add(record.partition() + " " + record.offset());
                    if (record.value() != null && record.value().length == 0) {
                        ended.add(record.partition());
                    }
                }
            }
            consumer.commitSync();
        }
        System.out.println(String.join("\n", lines));
    }
}
