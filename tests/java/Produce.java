import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.StringJoiner;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes the same records with each codec, to partition 0 of a topic each, and prints them as
 * {@code topic offset timestamp key value name=value,...}: bytes as x and hexadecimal digits, null as -.
 *
 * Arguments: bootstrap, then codec=topic for each codec.
 */
public class Produce {
    private static final byte[][] KEYS = {null, {}, "key".getBytes(StandardCharsets.UTF_8), new byte[300]};
    private static final byte[][] VALUES = {
        null, {}, "value".getBytes(StandardCharsets.UTF_8), "compressible ".repeat(300).getBytes(StandardCharsets.UTF_8), new byte[2000]
    };

    public static void main(String[] args) throws Exception {
        new Random(7).nextBytes(KEYS[3]);
        new Random(8).nextBytes(VALUES[4]);
        StringBuilder out = new StringBuilder();
        for (int at = 1; at < args.length; at++) {
            String[] pair = args[at].split("=", 2);
            produce(args[0], pair[0], pair[1], out);
        }
        System.out.print(out);
    }

    private static void produce(String bootstrap, String codec, String topic, StringBuilder out) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("compression.type", codec);
        // One large batch in which the codec has something to do, and some more.
        properties.put("linger.ms", "200");
        properties.put("batch.size", "60000");
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        long now = System.currentTimeMillis();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (byte[] key : KEYS) {
                for (byte[] value : VALUES) {
                    for (int kind = 0; kind < 4; kind++) {
                        int at = records.size();
                        long timestamp = now + (at % 2 == 0 ? at * 1000L : -at);
                        records.add(new ProducerRecord<>(topic, 0, timestamp, key, value, headers(kind)));
                        futures.add(producer.send(records.get(at)));
                    }
                }
            }
            producer.flush();
        }
        for (int at = 0; at < records.size(); at++) {
            ProducerRecord<byte[], byte[]> record = records.get(at);
            StringJoiner headers = new StringJoiner(",");
            for (Header header : record.headers()) {
                headers.add(hex(header.key().getBytes(StandardCharsets.UTF_8)) + "=" + hex(header.value()));
            }
            String line = topic + " " + futures.get(at).get().offset() + " " + record.timestamp() + " " + hex(record.key())
                + " " + hex(record.value()) + " " + headers;
            out.append(line.stripTrailing()).append('\n');
        }
    }

    private static Headers headers(int kind) {
        Headers headers = new RecordHeaders();
        switch (kind) {
            case 1 -> headers.add("null", null).add("empty", new byte[0]);
            case 2 -> headers.add("twice", new byte[] {1}).add("twice", null).add("twice", new byte[] {2}).add("", new byte[] {3});
            case 3 -> {
                for (int at = 0; at < 70; at++) {
                    headers.add("\u6f22-" + at, new byte[] {(byte) at, -1});
                }
            }
            default -> { }
        }
        return headers;
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
