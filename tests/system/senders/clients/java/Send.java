// Java: java.net.http.HttpClient (which asks for h2c), and what java.time makes of now.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Date;
import java.util.List;
import java.util.TimeZone;

public class Send {
    public static void main(String[] args) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        List<String> times = List.of(
            quoted(Instant.now()), quoted(OffsetDateTime.now(ZoneId.of("Asia/Kolkata"))),
            quoted(ZonedDateTime.now(ZoneId.of("Europe/Berlin"))), quoted(new Date()),
            quoted(DateTimeFormatter.RFC_1123_DATE_TIME.format(OffsetDateTime.now())),
            String.valueOf(System.currentTimeMillis()));
        HttpClient client = HttpClient.newHttpClient();
        int number = 0;
        for (String now : times) {
            number++;
            String body = "{\"event\":\"signed_up\",\"message_id\":\"m" + number
                + "\",\"user_id\":\"user-" + number + "\",\"timestamp\":" + now
                + ",\"properties\":{\"email\":\"a@example.com\",\"name\":\"A\"}}";
            HttpRequest request = HttpRequest.newBuilder(URI.create(args[0] + "/track"))
                .header("Authorization", "Bearer " + args[1])
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            HttpResponse<String> response =
                client.send(request, HttpResponse.BodyHandlers.ofString());
            if (response.statusCode() != 200) {
                System.err.println(response.statusCode() + ": " + response.body());
                System.exit(1);
            }
            System.out.println(response.body());
        }
    }

    private static String quoted(Object time) {
        return '"' + time.toString() + '"';
    }
}
