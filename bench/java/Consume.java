import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** The consume and latency benchmarks' peer in Java: kafka-clients, with the flags and the JSON line of {@code drive}. */
public final class Consume {
    private static final Duration WAIT = Duration.ofSeconds(10);

    private final Map<String, String> flags;
    private final String topic;
    private final int size;
    private final int bytesEach;
    /** Of the values' first and last bytes, so that each has been touched. */
    private long sum;

    private Consume(Map<String, String> flags) {
        this.flags = flags;
        topic = flag("topic", "bench");
        size = Integer.parseInt(flag("size", "100"));
        String key = flag("key", "none");
        bytesEach = size + (key.equals("none") ? 0 : Integer.parseInt(key));
    }

    private String flag(String name, String otherwise) {
        return flags.getOrDefault(name, otherwise);
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            flags.put(arguments[at].replaceFirst("^--", ""), arguments[at + 1]);
        }
        new Consume(flags).run();
    }

    private void run() throws Exception {
        boolean bouncing = flag("mode", "consume").equals("latency");
        long records = Long.parseLong(flag("records", "1000000"));
        long warmup = Long.parseLong(flag("warmup", Long.toString(Math.min(records / 10, 1_000_000))));
        Properties properties = new Properties();
        properties.put("bootstrap.servers", flag("brokers", "127.0.0.1:9092"));
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("enable.auto.commit", "false");
        long[] latencies = {};
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long processor;
        long began;
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            List<TopicPartition> partitions = new ArrayList<>();
            int count = bouncing ? 1 : Integer.parseInt(flag("partitions", "3"));
            for (int partition = 0; partition < count; partition++) {
                partitions.add(new TopicPartition(topic, partition));
            }
            consumer.assign(partitions);
            if (bouncing) {
                consumer.seekToEnd(partitions);
                consumer.position(partitions.get(0));
                try (KafkaProducer<byte[], byte[]> producer = producer()) {
                    bounce(producer, consumer, warmup);
                    processor = system.getProcessCpuTime();
                    began = System.nanoTime();
                    latencies = bounce(producer, consumer, records);
                }
            } else {
                consumer.seekToBeginning(partitions);
                warmup = read(consumer, warmup);
                processor = system.getProcessCpuTime();
                began = System.nanoTime();
                records = read(consumer, records);
            }
            double elapsed = (System.nanoTime() - began) / 1e9;
            report(records, warmup, elapsed, (system.getProcessCpuTime() - processor) / 1e9, latencies);
        }
    }

    private KafkaProducer<byte[], byte[]> producer() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", flag("brokers", "127.0.0.1:9092"));
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        properties.put("linger.ms", flag("linger-ms", "0"));
        return new KafkaProducer<>(properties);
    }

    private long read(KafkaConsumer<byte[], byte[]> consumer, long count) {
        long records = 0;
        long bytes = 0;
        while (records < count) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(WAIT)) {
                byte[] value = record.value();
                records++;
                bytes += value.length + (record.key() == null ? 0 : record.key().length);
                if (value.length > 0) {
                    sum += value[0] + value[value.length - 1];
                }
            }
        }
        if (bytes != records * bytesEach) {
            throw new IllegalStateException(bytes + " bytes in " + records + " records");
        }
        return records;
    }

    private long[] bounce(KafkaProducer<byte[], byte[]> producer, KafkaConsumer<byte[], byte[]> consumer, long count) {
        byte[] value = new byte[size];
        long[] latencies = new long[(int) count];
        for (int i = 0; i < count; i++) {
            long began = System.nanoTime();
            producer.send(new ProducerRecord<>(topic, 0, null, value));
            while (consumer.poll(WAIT).isEmpty()) {
                continue;
            }
            latencies[i] = System.nanoTime() - began;
        }
        return latencies;
    }

    private void report(long records, long warmup, double elapsed, double processor, long[] latencies)
        throws IOException {
        String settings = "defaults, assigned, poll, kafka-clients " + AppInfoParser.getVersion() + ", Java "
            + System.getProperty("java.version") + ", " + ManagementFactory.getGarbageCollectorMXBeans().get(0).getName();
        List<String> fields = new ArrayList<>();
        fields.add(quoted("peer", "java"));
        fields.add(quoted("mode", flag("mode", "consume")));
        fields.add(quoted("key", flag("key", "none")));
        fields.add(quoted("compression", flag("compression", "none")));
        fields.add("\"records\":" + records);
        fields.add("\"warmup\":" + warmup);
        fields.add("\"size\":" + size);
        fields.add("\"partitions\":" + flag("partitions", "3"));
        fields.add(number("seconds", elapsed));
        fields.add(number("records_per_s", records / elapsed));
        fields.add(number("mb_per_s", records * (double) bytesEach / 1e6 / elapsed));
        fields.add(number("cpu_s_per_million", processor / records * 1e6));
        fields.add(number("peak_rss_mb", peakRss()));
        if (latencies.length > 0) {
            Arrays.sort(latencies);
            fields.add(number("p50_us", latencies[(int) (0.5 * (latencies.length - 1))] / 1e3));
            fields.add(number("p99_us", latencies[(int) (0.99 * (latencies.length - 1))] / 1e3));
        }
        fields.add("\"sum\":" + sum);
        fields.add(quoted("settings", settings));
        System.out.println("{" + String.join(",", fields) + "}");
    }

    private static double peakRss() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
            }
        }
        return 0;
    }

    private static String quoted(String name, String text) {
        return "\"" + name + "\":\"" + text + "\"";
    }

    private static String number(String name, double value) {
        return String.format(Locale.ROOT, "\"%s\":%.6f", name, value);
    }
}
