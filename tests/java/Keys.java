import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends records with random keys of 0 to 64 bytes to whatever partition the producer chooses.
 *
 * Arguments: bootstrap, topic, number of keys, seed.
 */
public class Keys {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("linger.ms", "20");
        Random random = new Random(Long.parseLong(args[3]));
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int at = 0; at < Integer.parseInt(args[2]); at++) {
                byte[] key = new byte[random.nextInt(65)];
                random.nextBytes(key);
                futures.add(producer.send(new ProducerRecord<>(args[1], key, null)));
            }
        }
        for (Future<RecordMetadata> future : futures) {
            future.get();
        }
    }
}
