import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.StringJoiner;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints everything in partition 0 of each topic, topic after topic, as
 * {@code topic offset timestamp key value name=value,...}: bytes as x and hexadecimal digits, null as -.
 *
 * Arguments: bootstrap, then topics.
 */
public class Consume {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("enable.auto.commit", "false");
        StringBuilder out = new StringBuilder();
        long deadline = System.currentTimeMillis() + 60_000;
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (String topic : Stream.of(args).skip(1).collect(Collectors.toList())) {
                TopicPartition partition = new TopicPartition(topic, 0);
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                Map<TopicPartition, Long> ends = consumer.endOffsets(List.of(partition));
                while (consumer.position(partition) < ends.get(partition)) {
                    if (System.currentTimeMillis() > deadline) {
                        System.err.println(topic + " was not read to its end " + ends);
                        System.exit(3);
                    }
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                        print(record, out);
                    }
                }
            }
        }
        System.out.print(out);
    }

    private static void print(ConsumerRecord<byte[], byte[]> record, StringBuilder out) {
        StringJoiner headers = new StringJoiner(",");
        for (Header header : record.headers()) {
            headers.add(hex(header.key().getBytes(StandardCharsets.UTF_8)) + "=" + hex(header.value()));
        }
        String line = record.topic() + " " + record.offset() + " " + record.timestamp() + " " + hex(record.key()) + " "
            + hex(record.value()) + " " + headers;
        out.append(line.stripTrailing()).append('\n');
    }

    private static String hex(byte[] bytes) {
        if (bytes == null) {
            return "-";
        }
        StringBuilder text = new StringBuilder("x");
        for (byte one : bytes) {
            text.append(String.format("%02x", one));
        }
        return text.toString();
    }
}
