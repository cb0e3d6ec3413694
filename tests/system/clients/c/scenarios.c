#include "scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024 * 1024)

static bool publish_subscribe(Place* place) {
    natsConnection *publisher, *clients[2];
    natsSubscription* subscriptions[2];
    const char* subject = "greet.joe";
    TRY(connect_plainly(place, &publisher));
    for (int i = 0; i < 2; i++) {
        TRY(connect_plainly(place, &clients[i]));
        TRY(subscribe(place, clients[i], subject, &subscriptions[i]));
    }
    TRY(natsConnection_PublishString(publisher, "greet.sue", "not for joe"));
    TRY(natsConnection_Publish(publisher, subject, NULL, 0));
    for (int number = 1; number < 10; number++) TRY(publish_number(publisher, subject, number));
    for (int i = 0; i < 2; i++) {
        bool same;
        TRY(take_expected(subscriptions[i], "", &same));
        EXPECT(same, "the first greeting is not the empty one");
        for (int number = 1; number < 10; number++) {
            char text[PAYLOAD_TEXT_MAX];
            TRY(take(subscriptions[i], text));
            EXPECT(atoi(text) == number, "expected greeting %d, saw %s", number, text);
        }
    }
    return true;
}

static bool wildcards(Place* place) {
    static const struct {
        const char *subject, *payloads[4];
    } expected[] = {{"orders.*", {"2", "last"}}, {"orders.>", {"2", "3", "last"}}, {"*.new", {"2", "4", "last"}}};
    static const char* const published[][2] = {
        {"orders", "1"}, {"orders.new", "2"}, {"orders.new.eu", "3"}, {"invoices.new", "4"}, {"orders.new", "last"}};
    natsConnection *publisher, *client;
    natsSubscription* subscriptions[3];
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &client));
    for (int i = 0; i < 3; i++) TRY(subscribe(place, client, expected[i].subject, &subscriptions[i]));
    for (int i = 0; i < 5; i++) TRY(natsConnection_PublishString(publisher, published[i][0], published[i][1]));
    for (int i = 0; i < 3; i++) {
        for (int n = 0; expected[i].payloads[n] != NULL; n++) {
            char text[PAYLOAD_TEXT_MAX];
            TRY(take(subscriptions[i], text));
            EXPECT(strcmp(text, expected[i].payloads[n]) == 0, "%s: expected %s, saw %s", expected[i].subject,
                   expected[i].payloads[n], text);
        }
    }
    return true;
}

#define JOBS 2000
typedef struct {
    Counter* all;
    int times[JOBS]; /* how often each job came to this member */
    int count;
} Member;

static void work(natsConnection* connection, natsSubscription* subscription, natsMsg* message, void* closure) {
    (void)connection, (void)subscription;
    Member* member = closure;
    member->times[number_of(message)]++;
    member->count++;
    natsMsg_Destroy(message);
    count(member->all);
}

static bool queue_groups(Place* place) {
    static Member members[4];
    static Counter all = COUNTER;
    natsConnection *publisher, *observer;
    natsSubscription* everything;
    memset(members, 0, sizeof members);
    all.value = 0;
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &observer));
    TRY(subscribe(place, observer, "work.*", &everything));
    for (int i = 0; i < 4; i++) {
        natsConnection* connection;
        natsSubscription* subscription;
        members[i].all = &all;
        TRY(connect_plainly(place, &connection));
        TRY(subscribe_with(place, connection, "work.*", "workers", work, &members[i], &subscription));
    }
    for (int job = 0; job < JOBS; job++) TRY(publish_number(publisher, "work.todo", job));
    for (int job = 0; job < JOBS; job++) {
        char text[PAYLOAD_TEXT_MAX];
        TRY(take(everything, text));
        EXPECT(atoi(text) == job, "the plain subscriber: expected %d, saw %s", job, text);
    }
    EXPECT(wait_for(&all, JOBS), "the members got %d of %d messages", all.value, JOBS);
    for (int job = 0; job < JOBS; job++) {
        int times = 0;
        for (int i = 0; i < 4; i++) times += members[i].times[job];
        EXPECT(times == 1, "job %d was given out %d times", job, times);
    }
    for (int i = 0; i < 4; i++) EXPECT(members[i].count > 0, "member %d got no message", i);
    return true;
}

static void answer(natsConnection* connection, natsSubscription* subscription, natsMsg* message, void* closure) {
    (void)subscription, (void)closure;
    char text[PAYLOAD_TEXT_MAX];
    snprintf(text, sizeof text, "re: %.*s", natsMsg_GetDataLength(message), natsMsg_GetData(message));
    natsConnection_PublishString(connection, natsMsg_GetReply(message), text);
    natsMsg_Destroy(message);
}

typedef struct {
    natsConnection* connection;
    int first, good;
} Requests;

static void* ask_125_times(void* closure) {
    Requests* requests = closure;
    for (int i = 0; i < 125; i++) {
        char question[PAYLOAD_TEXT_MAX], expected[PAYLOAD_TEXT_MAX + 8];
        snprintf(question, sizeof question, "%d", requests->first + i);
        snprintf(expected, sizeof expected, "re: %s", question);
        natsMsg* reply = NULL;
        if (natsConnection_RequestString(&reply, requests->connection, "service.echo", question, PATIENCE_MS) ==
            NATS_OK)
            requests->good += strcmp(natsMsg_GetData(reply), expected) == 0;
        natsMsg_Destroy(reply);
    }
    return NULL;
}

static bool request_reply(Place* place) {
    natsConnection *service, *client;
    natsSubscription* subscription;
    TRY(connect_plainly(place, &service));
    TRY(connect_plainly(place, &client));
    TRY(subscribe_with(place, service, "service.echo", NULL, answer, NULL, &subscription));
    pthread_t threads[4];
    Requests requests[4];
    for (int i = 0; i < 4; i++) {
        requests[i] = (Requests){client, 125 * i, 0};
        EXPECT(pthread_create(&threads[i], NULL, ask_125_times, &requests[i]) == 0, "no thread");
    }
    int good = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        good += requests[i].good;
    }
    EXPECT(good == 500, "%d of 500 requests were answered as they should", good);
    return true;
}

/* Checks the values of one header. */
static bool has_values(Place* place, natsMsg* message, const char* key, const char* const* expected,
                       int expected_count) {
    const char** values = NULL;
    int value_count = 0;
    TRY(natsMsgHeader_Values(message, key, &values, &value_count));
    bool same = value_count == expected_count;
    for (int i = 0; same && i < value_count; i++) same = strcmp(values[i], expected[i]) == 0;
    free((void*)values);
    EXPECT(same, "header %s is not as it was sent", key);
    return true;
}

static void paint(natsConnection* connection, natsSubscription* subscription, natsMsg* message, void* closure) {
    (void)subscription, (void)closure;
    const char** colors = NULL;
    int color_count = 0;
    natsMsg* reply = NULL;
    if (natsMsgHeader_Values(message, "Color", &colors, &color_count) == NATS_OK &&
        natsMsg_Create(&reply, natsMsg_GetReply(message), NULL, natsMsg_GetData(message),
                       natsMsg_GetDataLength(message)) == NATS_OK) {
        for (int i = color_count; i-- > 0;) natsMsgHeader_Add(reply, "Color", colors[i]);
        natsConnection_PublishMsg(connection, reply);
    }
    free((void*)colors);
    natsMsg_Destroy(reply);
    natsMsg_Destroy(message);
}

/* libnats keeps the order of a name's values, not that of the names. */
static bool headers(Place* place) {
    static const char *const red_green[] = {"red", "green"}, *const green_red[] = {"green", "red"},
                             *const round[] = {"round"};
    natsConnection *service, *client;
    natsSubscription *painter, *plain;
    TRY(connect_plainly(place, &service));
    TRY(connect_plainly(place, &client));
    TRY(subscribe_with(place, service, "paint", NULL, paint, NULL, &painter));
    TRY(subscribe(place, client, "paint", &plain));

    natsMsg *request = NULL, *reply = NULL, *seen = NULL;
    TRY(natsMsg_Create(&request, "paint", NULL, "wall", 4));
    TRY(natsMsgHeader_Add(request, "Color", "red"));
    TRY(natsMsgHeader_Set(request, "Shape", "round"));
    TRY(natsMsgHeader_Add(request, "Color", "green"));
    TRY(natsConnection_RequestMsg(&reply, client, request, PATIENCE_MS));
    natsMsg_Destroy(request);
    bool good = has_values(place, reply, "Color", green_red, 2);
    EXPECT(natsMsg_GetDataLength(reply) == 4 && memcmp(natsMsg_GetData(reply), "wall", 4) == 0,
           "payload of the answer: %s", natsMsg_GetData(reply));
    natsMsg_Destroy(reply);
    if (!good) return false;

    TRY(natsSubscription_NextMsg(&seen, plain, PATIENCE_MS));
    good = has_values(place, seen, "Color", red_green, 2) && has_values(place, seen, "Shape", round, 1);
    natsMsg_Destroy(seen);
    if (!good) return false;

    TRY(natsConnection_PublishString(client, "paint", "no headers"));
    TRY(natsSubscription_NextMsg(&seen, plain, PATIENCE_MS));
    const char** keys = NULL;
    int key_count = 0;
    natsStatus status = natsMsgHeader_Keys(seen, &keys, &key_count);
    free((void*)keys);
    natsMsg_Destroy(seen);
    EXPECT(status == NATS_NOT_FOUND, "a message without headers has %d", key_count);
    return true;
}

static bool no_responders(Place* place) {
    natsConnection *client, *service;
    natsSubscription* subscription;
    natsMsg* reply = NULL;
    TRY(connect_plainly(place, &client));
    TRY(connect_plainly(place, &service));
    natsStatus status = natsConnection_RequestString(&reply, client, "nobody.home", "?", PATIENCE_MS);
    EXPECT(status == NATS_NO_RESPONDERS, "before: %s", natsStatus_GetText(status));

    TRY(subscribe_with(place, service, "nobody.home", NULL, answer, NULL, &subscription));
    TRY(natsConnection_RequestString(&reply, client, "nobody.home", "?", PATIENCE_MS));
    natsMsg_Destroy(reply);

    TRY(natsSubscription_Unsubscribe(subscription));
    TRY(natsConnection_FlushTimeout(service, PATIENCE_MS));
    status = natsConnection_RequestString(&reply, client, "nobody.home", "?", PATIENCE_MS);
    EXPECT(status == NATS_NO_RESPONDERS, "after: %s", natsStatus_GetText(status));
    return true;
}

static bool max_payload(Place* place) {
    static const char too_large[MIB + 1];
    natsConnection* client;
    natsSubscription* subscription;
    TRY(connect_plainly(place, &client));
    TRY(subscribe(place, client, "too.large", &subscription));
    EXPECT(natsConnection_GetMaxPayload(client) == MIB, "max_payload of INFO is %lld",
           (long long)natsConnection_GetMaxPayload(client));
    natsStatus status = natsConnection_Publish(client, "too.large", too_large, sizeof too_large);
    EXPECT(status == NATS_MAX_PAYLOAD, "too large: %s", natsStatus_GetText(status));
    bool same;
    TRY(natsConnection_PublishString(client, "too.large", "small"));
    TRY(take_expected(subscription, "small", &same));
    EXPECT(same, "what still went through is not what was sent");
    return true;
}

typedef struct {
    Counter handled;
    int next;
    bool in_order;
} InOrder;

static void handle_in_order(natsConnection* connection, natsSubscription* subscription, natsMsg* message,
                            void* closure) {
    (void)connection, (void)subscription;
    InOrder* state = closure;
    if (number_of(message) != state->next++) state->in_order = false;
    natsMsg_Destroy(message);
    count(&state->handled);
}

static void note(natsConnection* connection, void* closure) {
    (void)connection;
    count(closure);
}

static bool drain(Place* place) {
    static InOrder first, second;
    static Counter closed;
    first = second = (InOrder){COUNTER, 0, true};
    closed = (Counter)COUNTER;
    const int count_of_all = 1000;
    natsConnection *publisher, *client, *other;
    natsSubscription *subscription, *results;
    natsOptions* options = NULL;
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &other));
    TRY(new_options(place, &options));
    natsStatus status = natsOptions_SetClosedCB(options, note, &closed);
    if (status == NATS_OK) status = connect_with(place, options, &client);
    natsOptions_Destroy(options);
    TRY(status);

    /* A subscription: what the server had taken before is handled, what comes later is not for it. */
    TRY(subscribe_with(place, client, "drain.in", NULL, handle_in_order, &first, &subscription));
    for (int number = 0; number < count_of_all; number++) TRY(publish_number(publisher, "drain.in", number));
    TRY(natsConnection_FlushTimeout(publisher, PATIENCE_MS));
    TRY(natsSubscription_Drain(subscription));
    TRY(natsSubscription_WaitForDrainCompletion(subscription, PATIENCE_MS));
    TRY(publish_number(publisher, "drain.in", -1));
    TRY(natsConnection_FlushTimeout(publisher, PATIENCE_MS));
    TRY(natsConnection_FlushTimeout(client, PATIENCE_MS));
    EXPECT(first.in_order && first.next == count_of_all, "the drained subscription handled %d", first.next);

    /* A connection: what came in is handled, what was published goes out, and then it is closed. */
    TRY(subscribe_with(place, client, "drain.in", NULL, handle_in_order, &second, &subscription));
    TRY(subscribe(place, other, "drain.out", &results));
    for (int number = 0; number < count_of_all; number++) TRY(publish_number(publisher, "drain.in", number));
    TRY(natsConnection_FlushTimeout(publisher, PATIENCE_MS));
    for (int number = 0; number < count_of_all; number++) TRY(publish_number(client, "drain.out", number));
    TRY(natsConnection_Drain(client));
    EXPECT(wait_for(&closed, 1), "the drained connection was not closed");
    EXPECT(second.in_order && second.next == count_of_all, "the drained connection handled %d", second.next);
    for (int number = 0; number < count_of_all; number++) {
        char text[PAYLOAD_TEXT_MAX];
        TRY(take(results, text));
        EXPECT(atoi(text) == number, "the drained connection published %d, %s came", number, text);
    }
    return true;
}

static bool reconnect_after_restart(Place* place) {
    static Counter back;
    back = (Counter)COUNTER;
    natsConnection* clients[2];
    natsOptions* options = NULL;
    TRY(new_options(place, &options));
    natsStatus status = natsOptions_SetReconnectedCB(options, note, &back);
    for (int i = 0; i < 2 && status == NATS_OK; i++) status = connect_with(place, options, &clients[i]);
    natsOptions_Destroy(options);
    TRY(status);
    natsConnection *subscriber = clients[0], *publisher = clients[1];
    natsSubscription* subscriptions[3];
    TRY(subscribe(place, subscriber, "after.restart", &subscriptions[0]));
    TRY(subscribe(place, subscriber, "after.*", &subscriptions[1]));
    TRY(subscribe_in_group(place, subscriber, "after.>", "group", &subscriptions[2]));
    TRY(natsConnection_PublishString(publisher, "after.restart", "before"));
    for (int i = 0; i < 3; i++) {
        bool same;
        TRY(take_expected(subscriptions[i], "before", &same));
        EXPECT(same, "subscription %d before the restart", i);
    }
    ask("restart");
    EXPECT(wait_for(&back, 2), "%d of 2 clients came back", back.value);
    TRY(natsConnection_FlushTimeout(subscriber, PATIENCE_MS));
    for (int number = 0; number < 100; number++) TRY(publish_number(publisher, "after.restart", number));
    for (int i = 0; i < 3; i++) {
        for (int number = 0; number < 100; number++) {
            char text[PAYLOAD_TEXT_MAX];
            TRY(take(subscriptions[i], text));
            EXPECT(atoi(text) == number, "subscription %d after the restart: expected %d, saw %s", i, number, text);
        }
    }
    return true;
}

static bool ordered_100000(Place* place) {
    static InOrder state;
    state = (InOrder){COUNTER, 0, true};
    const int count_of_all = 100000;
    natsConnection *publisher, *client;
    natsSubscription* subscription;
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &client));
    TRY(subscribe_with(place, client, "count.up", NULL, handle_in_order, &state, &subscription));
    for (int number = 0; number < count_of_all; number++) TRY(publish_number(publisher, "count.up", number));
    EXPECT(wait_for(&state.handled, count_of_all), "%d of %d messages came", state.handled.value, count_of_all);
    EXPECT(state.in_order, "not in order");
    return true;
}

static bool auto_unsubscribe(Place* place) {
    natsConnection *publisher, *client;
    natsSubscription *first_three, *later, *end;
    char text[PAYLOAD_TEXT_MAX];
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &client));
    TRY(subscribe(place, client, "few.wanted", &first_three));
    TRY(subscribe(place, client, "few.wanted", &later));
    TRY(subscribe(place, client, "few.end", &end));
    TRY(natsSubscription_AutoUnsubscribe(first_three, 3));
    TRY(natsConnection_FlushTimeout(client, PATIENCE_MS));
    for (int number = 0; number < 2; number++) TRY(publish_number(publisher, "few.wanted", number));
    for (int number = 0; number < 2; number++) TRY(take(later, text));
    TRY(natsSubscription_AutoUnsubscribe(later, 5)); /* counted from the start of the subscription */
    TRY(natsConnection_FlushTimeout(client, PATIENCE_MS));
    for (int number = 2; number < 10; number++) TRY(publish_number(publisher, "few.wanted", number));
    TRY(natsConnection_PublishString(publisher, "few.end", "end"));
    TRY(take(end, text));
    for (int number = 0; number < 3; number++) {
        TRY(take(first_three, text));
        EXPECT(atoi(text) == number, "limit of 3: expected %d, saw %s", number, text);
    }
    for (int number = 2; number < 5; number++) {
        TRY(take(later, text));
        EXPECT(atoi(text) == number, "limit of 5, two of them before: expected %d, saw %s", number, text);
    }
    natsStatus beyond = natsSubscription_NextMsg(&(natsMsg*){NULL}, first_three, 1);
    EXPECT(beyond == NATS_MAX_DELIVERED_MSGS || beyond == NATS_INVALID_SUBSCRIPTION, "beyond the limit of 3: %s",
           natsStatus_GetText(beyond));
    beyond = natsSubscription_NextMsg(&(natsMsg*){NULL}, later, 1);
    EXPECT(beyond == NATS_MAX_DELIVERED_MSGS || beyond == NATS_INVALID_SUBSCRIPTION, "beyond the limit of 5: %s",
           natsStatus_GetText(beyond));
    return true;
}

static bool echo_off(Place* place) {
    natsConnection *quiet, *other;
    natsSubscription *mine, *theirs;
    natsOptions* options = NULL;
    TRY(new_options(place, &options));
    natsStatus status = natsOptions_SetNoEcho(options, true);
    if (status == NATS_OK) status = connect_with(place, options, &quiet);
    natsOptions_Destroy(options);
    TRY(status);
    TRY(connect_plainly(place, &other));
    TRY(subscribe(place, quiet, "echo.off", &mine));
    TRY(subscribe(place, other, "echo.off", &theirs));
    TRY(natsConnection_PublishString(quiet, "echo.off", "from the quiet one"));
    TRY(natsConnection_FlushTimeout(quiet, PATIENCE_MS));
    TRY(natsConnection_PublishString(other, "echo.off", "from the other"));
    bool same;
    TRY(take_expected(theirs, "from the quiet one", &same));
    EXPECT(same, "the other did not get what the quiet one sent");
    TRY(take_expected(theirs, "from the other", &same));
    EXPECT(same, "with echo, one's own message does not come back");
    TRY(take_expected(mine, "from the other", &same));
    EXPECT(same, "without echo, one's own message came back");
    return true;
}

/* A megabyte that is another one for each number. */
static void fill(char payload[MIB], unsigned number) {
    unsigned state = 2463534242u + number;
    for (int i = 0; i < MIB; i++) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        payload[i] = (char)state;
    }
}

static bool large_messages(Place* place) {
    static char payload[MIB];
    natsConnection *publisher, *client;
    natsSubscription* subscription;
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &client));
    TRY(subscribe(place, client, "large", &subscription));
    for (unsigned number = 0; number < 4; number++) {
        fill(payload, number);
        TRY(natsConnection_Publish(publisher, "large", payload, MIB));
    }
    for (unsigned number = 0; number < 4; number++) {
        natsMsg* message = NULL;
        fill(payload, number);
        TRY(natsSubscription_NextMsg(&message, subscription, PATIENCE_MS));
        bool same = natsMsg_GetDataLength(message) == MIB && memcmp(natsMsg_GetData(message), payload, MIB) == 0;
        natsMsg_Destroy(message);
        EXPECT(same, "large message %u is not as it was sent", number);
    }
    return true;
}

static bool many_subjects(Place* place) {
    enum { names = 2000 };
    static natsSubscription* subscriptions[names];
    natsConnection *publisher, *client, *other;
    natsSubscription* every;
    char name[PAYLOAD_TEXT_MAX], text[PAYLOAD_TEXT_MAX];
    TRY(connect_plainly(place, &publisher));
    TRY(connect_plainly(place, &client));
    TRY(connect_plainly(place, &other));
    TRY(subscribe(place, other, "many.*", &every));
    for (int i = 0; i < names; i++) {
        snprintf(name, sizeof name, "many.%d", i);
        TRY(subscribe(place, client, name, &subscriptions[i]));
    }
    for (int i = 0; i < names; i++) {
        snprintf(name, sizeof name, "many.%d", i);
        TRY(natsConnection_PublishString(publisher, name, name));
    }
    for (int i = 0; i < names; i++) {
        snprintf(name, sizeof name, "many.%d", i);
        TRY(take(subscriptions[i], text));
        EXPECT(strcmp(name, text) == 0, "%s got %s", name, text);
        TRY(take(every, text));
        EXPECT(strcmp(name, text) == 0, "many.*: expected %s, saw %s", name, text);
    }
    return true;
}

/* The server is about to leave: it says so, lets go of its clients a little later, and they go on at the other one. */
static bool lame_duck(Place* place) {
    static Counter told, moved;
    told = moved = (Counter)COUNTER;
    const char* servers[] = {place->url, place->other_url};
    natsConnection* clients[2];
    natsOptions* options = NULL;
    TRY(natsOptions_Create(&options));
    natsStatus status = natsOptions_SetServers(options, servers, 2);
    if (status == NATS_OK) status = natsOptions_SetNoRandomize(options, true);
    if (status == NATS_OK) status = natsOptions_SetReconnectWait(options, 50);
    if (status == NATS_OK) status = natsOptions_SetReconnectJitter(options, 10, 10);
    if (status == NATS_OK) status = natsOptions_SetLameDuckModeCB(options, note, &told);
    if (status == NATS_OK) status = natsOptions_SetReconnectedCB(options, note, &moved);
    for (int i = 0; i < 2 && status == NATS_OK; i++) status = connect_with(place, options, &clients[i]);
    natsOptions_Destroy(options);
    TRY(status);
    natsSubscription* subscription;
    TRY(subscribe(place, clients[0], "still.here", &subscription));
    ask("lame_duck");
    EXPECT(wait_for(&told, 2), "%d of 2 clients were told of lame duck mode", told.value);
    EXPECT(wait_for(&moved, 2), "%d of 2 clients connected again", moved.value);
    for (int i = 0; i < 2; i++) {
        char url[256];
        TRY(natsConnection_GetConnectedUrl(clients[i], url, sizeof url));
        EXPECT(strcmp(url, place->other_url) == 0, "client %d went to %s", i, url);
        TRY(natsConnection_FlushTimeout(clients[i], PATIENCE_MS));
    }
    bool same;
    TRY(natsConnection_PublishString(clients[1], "still.here", "yes"));
    TRY(take_expected(subscription, "yes", &same));
    EXPECT(same, "at the other server: not what was sent");
    return true;
}

const Scenario all_scenarios[] = {
    {"publish_subscribe", publish_subscribe},
    {"wildcards", wildcards},
    {"queue_groups", queue_groups},
    {"request_reply", request_reply},
    {"headers", headers},
    {"no_responders", no_responders},
    {"max_payload", max_payload},
    {"drain", drain},
    {"reconnect_after_restart", reconnect_after_restart},
    {"ordered_100000", ordered_100000},
    {"auto_unsubscribe", auto_unsubscribe},
    {"echo_off", echo_off},
    {"large_messages", large_messages},
    {"many_subjects", many_subjects},
    {"lame_duck", lame_duck},
    {NULL, NULL},
};
