import io.nats.client.Connection;
import io.nats.client.ConnectionListener.Events;
import io.nats.client.Dispatcher;
import io.nats.client.ErrorListener;
import io.nats.client.JetStreamStatusException;
import io.nats.client.Message;
import io.nats.client.Subscription;
import io.nats.client.impl.Headers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** What a NATS application does, one method per scenario; ../README.md says what each is. */
final class Scenarios {
    interface Scenario {
        void run(Place place) throws Exception;
    }

    private static final int MIB = 1024 * 1024;

    private Scenarios() {}

    static Map<String, Scenario> all() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        all.put("publish_subscribe", Scenarios::publishSubscribe);
        all.put("wildcards", Scenarios::wildcards);
        all.put("queue_groups", Scenarios::queueGroups);
        all.put("request_reply", Scenarios::requestReply);
        all.put("headers", Scenarios::headers);
        all.put("no_responders", Scenarios::noResponders);
        all.put("max_payload", Scenarios::maxPayload);
        all.put("drain", Scenarios::drain);
        all.put("reconnect_after_restart", Scenarios::reconnectAfterRestart);
        all.put("ordered_100000", Scenarios::ordered100000);
        all.put("auto_unsubscribe", Scenarios::autoUnsubscribe);
        all.put("echo_off", Scenarios::echoOff);
        all.put("large_messages", Scenarios::largeMessages);
        all.put("many_subjects", Scenarios::manySubjects);
        all.put("lame_duck", Scenarios::lameDuck);
        return all;
    }

    private static void publishSubscribe(Place place) throws Exception {
        Connection publisher = place.connect();
        Subscription one = Place.subscribe(place.connect(), "greet.joe");
        Subscription two = Place.subscribe(place.connect(), "greet.joe");
        Place.publish(publisher, "greet.sue", "not for joe");
        List<String> greetings = new ArrayList<>(Place.numbers(10));
        greetings.set(0, "");
        for (String greeting : greetings) {
            Place.publish(publisher, "greet.joe", greeting);
        }
        Place.takeAll(one, greetings, "the first subscriber");
        Place.takeAll(two, greetings, "the second subscriber");
    }

    private static void wildcards(Place place) throws Exception {
        Connection publisher = place.connect();
        Connection client = place.connect();
        Subscription oneToken = Place.subscribe(client, "orders.*");
        Subscription anyTokens = Place.subscribe(client, "orders.>");
        Subscription leading = Place.subscribe(client, "*.new");
        Place.publish(publisher, "orders", "1");
        Place.publish(publisher, "orders.new", "2");
        Place.publish(publisher, "orders.new.eu", "3");
        Place.publish(publisher, "invoices.new", "4");
        Place.publish(publisher, "orders.new", "last");
        Place.takeAll(oneToken, List.of("2", "last"), "orders.*");
        Place.takeAll(anyTokens, List.of("2", "3", "last"), "orders.>");
        Place.takeAll(leading, List.of("2", "4", "last"), "*.new");
    }

    private static void queueGroups(Place place) throws Exception {
        record Taken(int member, String job) {}
        List<String> jobs = Place.numbers(2000);
        Connection publisher = place.connect();
        Subscription everything = Place.subscribe(place.connect(), "work.*");
        BlockingQueue<Taken> results = new LinkedBlockingQueue<>();
        for (int i = 0; i < 4; i++) {
            int member = i;
            Connection client = place.connect();
            client.createDispatcher(message -> results.add(new Taken(member, Place.text(message)))).subscribe("work.*", "workers");
            Place.settle(client);
        }
        for (String job : jobs) {
            Place.publish(publisher, "work.todo", job);
        }
        Place.takeAll(everything, jobs, "the plain subscriber");
        List<Integer> givenOut = new ArrayList<>(Collections.nCopies(jobs.size(), 0));
        int[] shares = new int[4];
        for (int i = 0; i < jobs.size(); i++) {
            Taken taken = results.poll(Place.PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            if (taken == null) {
                throw new AssertionError("the members got " + i + " of " + jobs.size() + " messages");
            }
            shares[taken.member]++;
            givenOut.set(Integer.parseInt(taken.job), givenOut.get(Integer.parseInt(taken.job)) + 1);
        }
        Place.expect(Collections.nCopies(jobs.size(), 1), givenOut, "how often each job was given out");
        for (int share : shares) {
            Place.expect(true, share > 0, "each member has some: " + Arrays.toString(shares));
        }
    }

    private static void requestReply(Place place) throws Exception {
        Connection service = place.connect();
        Connection client = place.connect();
        service.createDispatcher(question -> Place.publish(service, question.getReplyTo(), "re: " + Place.text(question))).subscribe("service.echo");
        Place.settle(service);
        List<CompletableFuture<Message>> answers = new ArrayList<>();
        for (String question : Place.numbers(500)) {
            answers.add(client.requestWithTimeout("service.echo", Place.bytes(question), Place.PATIENCE));
        }
        for (int number = 0; number < answers.size(); number++) {
            Place.expect("re: " + number, Place.text(answers.get(number).get()), "answer");
        }
    }

    /** jnats keeps the order of a name's values; the names are a map's keys, in the case in which they were sent. */
    private static void headers(Place place) throws Exception {
        Connection service = place.connect();
        Connection client = place.connect();
        service.createDispatcher(message -> {
            if (message.hasHeaders()) {
                List<String> colors = new ArrayList<>(message.getHeaders().get("Color"));
                Collections.reverse(colors);
                service.publish(message.getReplyTo(), new Headers().add("Color", colors), message.getData());
            }
        }).subscribe("paint");
        Place.settle(service);
        Subscription plain = Place.subscribe(client, "paint");
        Headers sent = new Headers().add("Color", "red").add("Shape", "round").add("Color", "green").add("a-lower-case-name", "");
        Message reply = client.request("paint", sent, Place.bytes("wall"), Place.PATIENCE);
        Place.expect("wall", Place.text(reply), "payload of the answer");
        Place.expect(Map.of("Color", List.of("green", "red")), reply.getHeaders().toMap(), "headers of the answer");
        Map<String, List<String>> expected =
                Map.of("Color", List.of("red", "green"), "Shape", List.of("round"), "a-lower-case-name", List.of(""));
        Place.expect(expected, Place.take(plain).getHeaders().toMap(), "headers");
        Place.publish(client, "paint", "no headers");
        Place.expect(false, Place.take(plain).hasHeaders(), "a message without headers has some");
    }

    private static void noResponders(Place place) throws Exception {
        Connection client = place.connect();
        Connection service = place.connect();
        nobodyIsThere(client);
        Dispatcher dispatcher = service.createDispatcher(question -> Place.publish(service, question.getReplyTo(), "here"));
        dispatcher.subscribe("nobody.home");
        Place.settle(service);
        Place.expect("here", Place.text(client.request("nobody.home", null, Place.PATIENCE)), "answer");
        dispatcher.unsubscribe("nobody.home");
        Place.settle(service);
        nobodyIsThere(client);
    }

    private static void nobodyIsThere(Connection client) throws Exception {
        try {
            client.requestWithTimeout("nobody.home", null, Place.PATIENCE).get();
        } catch (ExecutionException failure) {
            if (failure.getCause() instanceof JetStreamStatusException why) { // also without JetStream
                Place.expect(503, why.getStatus().getCode(), "status");
                return;
            }
            throw failure;
        }
        throw new AssertionError("a request that nobody takes was answered");
    }

    /** The client refuses what is too large; a client that was told not to look is told by the server, and loses its connection. */
    private static void maxPayload(Place place) throws Exception {
        Connection client = place.connect();
        Subscription subscription = Place.subscribe(client, "too.large");
        Place.expect((long) MIB, client.getMaxPayload(), "max_payload of INFO");
        try {
            client.publish("too.large", new byte[MIB + 1]);
            throw new AssertionError("the client sent more than max_payload");
        } catch (IllegalArgumentException expected) {
            Place.publish(client, "too.large", "small");
        }
        Place.takeAll(subscription, List.of("small"), "what still went through");

        BlockingQueue<String> errors = new LinkedBlockingQueue<>();
        Place.Told told = new Place.Told();
        Connection careless = place.connect(told.by(place.options()).clientSideLimitChecks(false).errorListener(new ErrorListener() {
            @Override
            public void errorOccurred(Connection connection, String error) {
                errors.add(error);
            }
        }));
        careless.publish("too.large", new byte[MIB + 1]);
        Place.expect("Maximum Payload Violation", errors.poll(Place.PATIENCE.toMillis(), TimeUnit.MILLISECONDS), "the server's error");
        told.until(Events.RECONNECTED);
        Place.publish(careless, "too.large", "smaller");
        Place.takeAll(subscription, List.of("smaller"), "after the violation");
    }

    private static void drain(Place place) throws Exception {
        Connection publisher = place.connect();
        Connection client = place.connect();
        Connection other = place.connect();
        List<String> all = Place.numbers(1000);

        // A subscription: what the server had taken before is handled, what comes later is not for it.
        List<String> handled = Collections.synchronizedList(new ArrayList<>());
        Dispatcher first = client.createDispatcher(message -> handled.add(Place.text(message)));
        first.subscribe("drain.in");
        Place.settle(client);
        publishAll(publisher, "drain.in", all);
        Place.expect(true, first.drain(Place.PATIENCE).get(), "drained in time");
        Place.publish(publisher, "drain.in", "late");
        Place.settle(publisher);
        Place.settle(client);
        Place.expect(all, handled, "the drained subscription");

        // A connection: what came in is handled, what was published goes out, and then it is closed.
        handled.clear();
        client.createDispatcher(message -> handled.add(Place.text(message))).subscribe("drain.in");
        Place.settle(client);
        Subscription results = Place.subscribe(other, "drain.out");
        publishAll(publisher, "drain.in", all);
        for (String number : all) {
            Place.publish(client, "drain.out", number);
        }
        Place.expect(true, client.drain(Place.PATIENCE).get(), "drained in time");
        Place.expect(all, handled, "the drained connection's subscription");
        Place.takeAll(results, all, "what the drained connection had published");
        Place.expect(Connection.Status.CLOSED, client.getStatus(), "status after the drain");
    }

    private static void publishAll(Connection publisher, String subject, List<String> payloads) throws Exception {
        for (String payload : payloads) {
            Place.publish(publisher, subject, payload);
        }
        Place.settle(publisher);
    }

    private static void reconnectAfterRestart(Place place) throws Exception {
        Place.Told subscriberTold = new Place.Told();
        Place.Told publisherTold = new Place.Told();
        Connection subscriber = place.connect(subscriberTold.by(place.options()));
        Connection publisher = place.connect(publisherTold.by(place.options()));
        List<Subscription> subscriptions =
                List.of(subscriber.subscribe("after.restart"), subscriber.subscribe("after.*"), subscriber.subscribe("after.>", "group"));
        Place.settle(subscriber);
        Place.publish(publisher, "after.restart", "before");
        for (Subscription subscription : subscriptions) {
            Place.takeAll(subscription, List.of("before"), subscription.getSubject() + " before the restart");
        }
        Place.ask("restart");
        subscriberTold.until(Events.RESUBSCRIBED);
        publisherTold.until(Events.RECONNECTED);
        Place.settle(subscriber);
        List<String> all = Place.numbers(100);
        for (String number : all) {
            Place.publish(publisher, "after.restart", number);
        }
        for (Subscription subscription : subscriptions) {
            Place.takeAll(subscription, all, subscription.getSubject() + " after the restart");
        }
    }

    private static void ordered100000(Place place) throws Exception {
        int count = 100_000;
        Connection publisher = place.connect();
        Connection client = place.connect();
        CompletableFuture<Void> complete = new CompletableFuture<>();
        int[] expected = {0}; // touched by the dispatcher's thread alone
        Dispatcher dispatcher = client.createDispatcher(message -> {
            if (Integer.parseInt(Place.text(message)) != expected[0]) {
                complete.completeExceptionally(new AssertionError("expected message " + expected[0] + ", saw " + Place.text(message)));
            }
            if (++expected[0] == count) {
                complete.complete(null);
            }
        });
        dispatcher.setPendingLimits(-1, -1);
        dispatcher.subscribe("count.up");
        Place.settle(client);
        for (int number = 0; number < count; number++) {
            Place.publish(publisher, "count.up", String.valueOf(number));
        }
        complete.get(Place.PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    }

    private static void autoUnsubscribe(Place place) throws Exception {
        Connection publisher = place.connect();
        Connection client = place.connect();
        Subscription firstThree = Place.subscribe(client, "few.wanted");
        Subscription later = Place.subscribe(client, "few.wanted");
        Subscription end = Place.subscribe(client, "few.end");
        firstThree.unsubscribe(3);
        Place.settle(client);
        List<String> all = Place.numbers(10);
        publishAll(publisher, "few.wanted", all.subList(0, 2));
        Place.takeAll(later, all.subList(0, 2), "before the limit was set");
        later.unsubscribe(5); // counted from the start of the subscription
        Place.settle(client);
        publishAll(publisher, "few.wanted", all.subList(2, 10));
        Place.publish(publisher, "few.end", "end");
        Place.take(end);
        Place.takeAll(firstThree, all.subList(0, 3), "limit of 3");
        Place.takeAll(later, all.subList(2, 5), "limit of 5, two of them before");
        for (Subscription subscription : List.of(firstThree, later)) {
            Place.expect(false, subscription.isActive(), "still active after its last message");
        }
    }

    private static void echoOff(Place place) throws Exception {
        Connection quiet = place.connect(place.options().noEcho());
        Connection other = place.connect();
        Subscription mine = Place.subscribe(quiet, "echo.off");
        Subscription theirs = Place.subscribe(other, "echo.off");
        Place.publish(quiet, "echo.off", "from the quiet one");
        Place.settle(quiet);
        Place.publish(other, "echo.off", "from the other");
        Place.takeAll(theirs, List.of("from the quiet one", "from the other"), "with echo");
        Place.takeAll(mine, List.of("from the other"), "without echo");
    }

    private static void largeMessages(Place place) throws Exception {
        Connection publisher = place.connect();
        Subscription subscription = Place.subscribe(place.connect(), "large");
        Random random = new Random(1);
        byte[][] payloads = new byte[4][MIB];
        for (byte[] payload : payloads) {
            random.nextBytes(payload);
            publisher.publish("large", payload);
        }
        for (int number = 0; number < payloads.length; number++) {
            Place.expect(true, Arrays.equals(payloads[number], Place.take(subscription).getData()), "large message " + number + " is as it was sent");
        }
    }

    private static void manySubjects(Place place) throws Exception {
        Connection publisher = place.connect();
        Connection client = place.connect();
        Subscription every = Place.subscribe(place.connect(), "many.*");
        List<String> names = Place.numbers(2000).stream().map(number -> "many." + number).toList();
        List<Subscription> subscriptions = names.stream().map(client::subscribe).toList();
        Place.settle(client);
        for (String name : names) {
            Place.publish(publisher, name, name);
        }
        for (Subscription subscription : subscriptions) {
            Place.takeAll(subscription, List.of(subscription.getSubject()), subscription.getSubject());
        }
        Place.takeAll(every, names, "many.*");
    }

    /** The server is about to leave: it says so, lets go of its clients a little later, and they go on at the other one. */
    private static void lameDuck(Place place) throws Exception {
        List<Place.Told> told = List.of(new Place.Told(), new Place.Told());
        List<Connection> clients = new ArrayList<>();
        for (Place.Told listener : told) {
            clients.add(place.connect(listener.by(place.options()).server(place.otherUrl).noRandomize()));
        }
        Connection publisher = clients.get(1);
        Subscription subscription = Place.subscribe(clients.get(0), "still.here");
        Place.ask("lame_duck");
        for (Place.Told listener : told) {
            listener.until(Events.LAME_DUCK);
            listener.until(Events.RESUBSCRIBED);
        }
        for (Connection client : clients) {
            Place.expect(place.otherUrl, client.getConnectedUrl(), "where the client went");
            Place.settle(client);
        }
        Place.publish(publisher, "still.here", "yes");
        Place.takeAll(subscription, List.of("yes"), "at the other server");
    }
}
