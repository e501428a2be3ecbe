import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes to partition 0 of a topic in transactions that overlap, and outside of any. Values say what became of them:
 * committed, aborted or plain, and a number that counts.
 *
 * Arguments: bootstrap, topic.
 */
public class Transact {
    private static String topic;
    private static int count;

    public static void main(String[] args) throws Exception {
        topic = args[1];
        try (KafkaProducer<String, String> one = producer(args[0], topic + "-one");
                KafkaProducer<String, String> two = producer(args[0], topic + "-two");
                KafkaProducer<String, String> plain = producer(args[0], null)) {
            one.initTransactions();
            two.initTransactions();
            one.beginTransaction();
            send(one, "committed", 10);
            one.commitTransaction();

            one.beginTransaction();
            send(one, "aborted", 10);
            two.beginTransaction();
            send(two, "committed", 10);
            send(plain, "plain", 5);
            send(one, "aborted", 10);
            two.commitTransaction();
            one.abortTransaction();

            two.beginTransaction();
            send(two, "aborted", 3);
            two.abortTransaction();
            // Its own earlier abort says nothing about this one.
            one.beginTransaction();
            send(one, "committed", 5);
            one.commitTransaction();
            two.beginTransaction();
            send(two, "aborted", 1);
            two.abortTransaction();
        }
    }

    private static KafkaProducer<String, String> producer(String bootstrap, String transactionalId) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("linger.ms", "0");
        if (transactionalId != null) {
            properties.put("transactional.id", transactionalId);
        }
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    private static void send(KafkaProducer<String, String> producer, String fate, int records) throws Exception {
        for (int at = 0; at < records; at++) {
            producer.send(new ProducerRecord<>(topic, 0, null, fate + " " + count++)).get();
        }
    }
}
