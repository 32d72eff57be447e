// Segment's SDK for Java, with nothing changed but the endpoint.
import com.segment.analytics.Analytics;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.TrackMessage;
import java.util.Date;
import java.util.Map;

public class Send {
    public static void main(String[] args) throws Exception {
        Analytics analytics = Analytics.builder(args[1]).endpoint(args[0]).build();
        for (int number = 1; number <= 20; number++) {
            analytics.enqueue(TrackMessage.builder("signed_up")
                .messageId("m" + number)
                .userId("user-" + number)
                .timestamp(new Date())
                .properties(Map.of("email", "a@example.com", "name", "A")));
        }
        analytics.enqueue(IdentifyMessage.builder().userId("user-1"));
        analytics.flush();
        Thread.sleep(3000); // flush does not wait, and shutdown drops what is in flight
        analytics.shutdown();
    }
}
