import io.nats.client.Connection;
import io.nats.client.ConnectionListener.Events;
import io.nats.client.ErrorListener;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** Where a scenario runs: connections that end with it, and checks that throw what is wrong. */
final class Place implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    final String url;
    final String otherUrl;
    private final List<Connection> open = new ArrayList<>();

    Place(String url, String otherUrl) {
        this.url = url;
        this.otherUrl = otherUrl;
    }

    /** Options of a client that comes back within milliseconds when the server does. */
    Options.Builder options() {
        return new Options.Builder()
                .server(url)
                .maxReconnects(-1)
                .reconnectWait(Duration.ofMillis(50))
                .reconnectJitter(Duration.ofMillis(10))
                .reportNoResponders()
                .errorListener(new ErrorListener() {}); // scenarios bring errors about on purpose; the default one logs them
    }

    Connection connect() throws IOException, InterruptedException {
        return connect(options());
    }

    Connection connect(Options.Builder options) throws IOException, InterruptedException {
        Connection client = Nats.connect(options.build());
        open.add(client);
        return client;
    }

    @Override
    public void close() {
        for (Connection client : open) {
            try {
                client.close();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** A subscription without a limit of its own, that the server knows of. */
    static Subscription subscribe(Connection client, String subject) throws Exception {
        Subscription subscription = client.subscribe(subject);
        subscription.setPendingLimits(-1, -1);
        settle(client);
        return subscription;
    }

    /** Returns when the server has taken all that this client has said so far. */
    static void settle(Connection client) throws Exception {
        client.flush(PATIENCE);
    }

    static void publish(Connection client, String subject, String payload) {
        client.publish(subject, bytes(payload));
    }

    static Message take(Subscription subscription) throws InterruptedException {
        Message message = subscription.nextMessage(PATIENCE);
        if (message == null) {
            throw new AssertionError("nothing came on " + subscription.getSubject());
        }
        return message;
    }

    /** Takes as many messages as there are payloads, and wants just these. */
    static void takeAll(Subscription subscription, List<String> payloads, String what) throws InterruptedException {
        for (int number = 0; number < payloads.size(); number++) {
            expect(payloads.get(number), text(take(subscription)), what + ": message " + number);
        }
    }

    static void expect(Object expected, Object seen, String what) {
        if (!Objects.equals(expected, seen)) {
            throw new AssertionError(what + ": expected " + shorten(expected) + ", saw " + shorten(seen));
        }
    }

    private static String shorten(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 200 ? text : text.substring(0, 200) + "...";
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(Message message) {
        return new String(message.getData(), StandardCharsets.UTF_8);
    }

    /** "0", "1", ... as many as asked. */
    static List<String> numbers(int count) {
        return IntStream.range(0, count).mapToObj(String::valueOf).toList();
    }

    /** Asks whoever runs the server to do something with it, and waits for the answer. */
    static void ask(String what) throws IOException {
        System.out.println("ready " + what);
        INPUT.readLine();
    }

    /** What a client tells about its connection, in order. */
    static final class Told {
        private final BlockingQueue<Events> events = new LinkedBlockingQueue<>();

        Options.Builder by(Options.Builder options) {
            return options.connectionListener((client, event) -> events.add(event));
        }

        void until(Events wanted) throws InterruptedException {
            for (Events event = null; event != wanted;) {
                event = events.poll(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
                if (event == null) {
                    throw new AssertionError("the client did not tell: " + wanted);
                }
            }
        }
    }
}
