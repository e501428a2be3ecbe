import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;

/** Prints how many nodes a cluster has; exits with 3 when it is given no bootstrap list. */
public class Nodes {
    public static void main(String[] args) throws Exception {
        if (args.length == 0) {
            System.err.println("no bootstrap list");
            System.exit(3);
        }
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        try (Admin admin = Admin.create(properties)) {
            System.out.println(admin.describeCluster().nodes().get().size());
        }
    }
}
