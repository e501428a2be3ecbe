import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** The produce benchmark's peer in Java: kafka-clients, with the flags and the JSON line of {@code drive}. */
public final class Produce {
    private static final int POOL = 4096;
    private static final String[] WORDS = ("order user price item total count time zone city name first last email phone"
        + " street north south east west green blue red black white small large open closed true false null active"
        + " pending sent paid card cash coin euro dollar pound kilo gram meter mile hour minute second"
        + " day week month year spring summer autumn winter monday sunday morning evening noon night early late")
        .split(" ");

    private final Map<String, String> flags;
    private final String topic;
    private final int tasks;
    private final int bytesEach;
    private final byte[][] values = new byte[POOL][];
    private final byte[][] keys;
    private final int robin;

    private Produce(Map<String, String> flags) {
        this.flags = flags;
        topic = flag("topic", "bench");
        tasks = Integer.parseInt(flag("tasks", "1"));
        robin = flag("spread", "own").equals("robin") ? Integer.parseInt(flag("partitions", "3")) : 0;
        int size = Integer.parseInt(flag("size", "100"));
        String key = flag("key", "none");
        keys = key.equals("none") ? null : new byte[POOL][];
        bytesEach = size + (keys == null ? 0 : Integer.parseInt(key));
        for (int i = 0; i < POOL; i++) {
            values[i] = text(i, size);
            if (keys != null) {
                keys[i] = text(i | 1L << 32, Integer.parseInt(key));
            }
        }
    }

    private String flag(String name, String otherwise) {
        return flags.getOrDefault(name, otherwise);
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            flags.put(arguments[at].replaceFirst("^--", ""), arguments[at + 1]);
        }
        new Produce(flags).run();
    }

    private void run() throws Exception {
        String mode = flag("mode", "produce");
        boolean awaiting = mode.equals("produce-await");
        long records = Long.parseLong(flag("records", "1000000"));
        long warmup = Long.parseLong(flag("warmup", Long.toString(Math.min(records / 10, 1_000_000))));
        String acks = flag("acks", "all");
        String compression = flag("compression", "none");
        String linger = flag("linger-ms", awaiting ? "0" : "5");
        String batch = flag("batch-bytes", "1048576");
        String buffer = flag("buffer-bytes", "67108864");
        Properties properties = new Properties();
        properties.put("bootstrap.servers", flag("brokers", "127.0.0.1:9092"));
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        properties.put("acks", acks);
        properties.put("enable.idempotence", Boolean.toString(acks.equals("all")));
        properties.put("linger.ms", linger);
        properties.put("batch.size", batch);
        properties.put("buffer.memory", buffer);
        properties.put("compression.type", compression);
        long[] latencies;
        double elapsed;
        double processor;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
            send(producer, awaiting, 0, warmup);
            OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            long processorBefore = system.getProcessCpuTime();
            long began = System.nanoTime();
            latencies = send(producer, awaiting, warmup, records);
            elapsed = (System.nanoTime() - began) / 1e9;
            processor = (system.getProcessCpuTime() - processorBefore) / 1e9;
        }
        String settings = "linger " + linger + " ms, batch " + batch + " B, buffer " + buffer + " B, idempotent "
            + acks.equals("all") + ", acks " + acks + ", " + compression + ", a callback per record, kafka-clients "
            + AppInfoParser.getVersion() + ", Java " + System.getProperty("java.version") + ", "
            + ManagementFactory.getGarbageCollectorMXBeans().get(0).getName();
        List<String> fields = new ArrayList<>();
        fields.add(quoted("peer", "java"));
        for (String name : List.of("mode", "key", "compression", "acks", "spread")) {
            String otherwise = Map.of("mode", "produce", "acks", "all", "spread", "own").getOrDefault(name, "none");
            fields.add(quoted(name, flag(name, otherwise)));
        }
        fields.add("\"records\":" + records);
        fields.add("\"warmup\":" + warmup);
        fields.add("\"size\":" + flag("size", "100"));
        fields.add("\"partitions\":" + flag("partitions", "3"));
        fields.add("\"tasks\":" + tasks);
        fields.add(number("seconds", elapsed));
        fields.add(number("records_per_s", records / elapsed));
        fields.add(number("mb_per_s", records * (double) bytesEach / 1e6 / elapsed));
        fields.add(number("cpu_s_per_million", processor / records * 1e6));
        fields.add(number("peak_rss_mb", peakRss()));
        if (awaiting) {
            Arrays.sort(latencies);
            fields.add(number("p50_us", latencies[(int) (0.5 * (latencies.length - 1))] / 1e3));
            fields.add(number("p99_us", latencies[(int) (0.99 * (latencies.length - 1))] / 1e3));
        }
        fields.add(quoted("settings", settings));
        System.out.println("{" + String.join(",", fields) + "}");
    }

    /** Sends records from all tasks and waits until all are acknowledged; gives latencies only if each is awaited. */
    private long[] send(KafkaProducer<byte[], byte[]> producer, boolean awaiting, long first, long count)
        throws Exception {
        long[] latencies = new long[awaiting ? (int) count : 0];
        AtomicLong acknowledged = new AtomicLong();
        AtomicReference<Exception> failure = new AtomicReference<>();
        Callback callback = (metadata, exception) -> {
            if (exception == null) {
                acknowledged.incrementAndGet();
            } else {
                failure.set(exception);
            }
        };
        List<Thread> senders = new ArrayList<>();
        for (int task = 0; task < tasks; task++) {
            long from = first + count * task / tasks;
            long to = first + count * (task + 1) / tasks;
            senders.add(new Thread(() -> {
                try {
                    for (long i = from; i < to; i++) {
                        if (awaiting) {
                            long began = System.nanoTime();
                            producer.send(record(i)).get();
                            latencies[(int) (i - first)] = System.nanoTime() - began;
                            acknowledged.incrementAndGet();
                        } else {
                            producer.send(record(i), callback);
                        }
                    }
                } catch (Exception exception) {
                    failure.set(exception);
                }
            }));
        }
        senders.forEach(Thread::start);
        for (Thread sender : senders) {
            sender.join();
        }
        producer.flush();
        if (failure.get() != null) {
            throw failure.get();
        }
        if (acknowledged.get() != count) {
            throw new IllegalStateException(acknowledged + " of " + count + " records were acknowledged");
        }
        return latencies;
    }

    private ProducerRecord<byte[], byte[]> record(long i) {
        int at = (int) (i % POOL);
        Integer partition = robin == 0 ? null : (int) (i % robin);
        return new ProducerRecord<>(topic, partition, keys == null ? null : keys[at], values[at]);
    }

    /** Makes bytes of words, the same ones for the same seed in every peer. */
    private static byte[] text(long seed, int size) {
        long state = seed * 6364136223846793005L + 1442695040888963407L;
        StringBuilder made = new StringBuilder();
        while (made.length() < size) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            made.append(WORDS[(int) (state >>> 58)]).append(' ');
        }
        made.setLength(size);
        return made.toString().getBytes(StandardCharsets.US_ASCII);
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
