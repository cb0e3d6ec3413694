/* Where a scenario runs: connections and subscriptions that end with it, small checks, and waiting for events.
 *
 * A scenario returns true when all was as it should be. TRY and EXPECT return false for it at the first thing that was
 * not, and leave the reason in place->why.
 */
#pragma once

#include <nats/nats.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define PATIENCE_MS 20000
#define CONNECTIONS_MAX 8
#define SUBSCRIPTIONS_MAX 2048
#define PAYLOAD_TEXT_MAX 64

typedef struct {
    const char *url, *other_url;
    char why[512];
    natsConnection* connections[CONNECTIONS_MAX];
    size_t connection_count;
    natsSubscription* subscriptions[SUBSCRIPTIONS_MAX];
    size_t subscription_count;
} Place;

/* How often something has happened, told by the client's threads and awaited by ours. Zero-initialised by COUNTER. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int value;
} Counter;
#define COUNTER \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

#define TRY(call)                                                                               \
    do {                                                                                        \
        natsStatus status_of_try = (call);                                                      \
        if (status_of_try != NATS_OK)                                                           \
            return failed(place, __LINE__, "%s: %s", #call, natsStatus_GetText(status_of_try)); \
    } while (0)

#define EXPECT(condition, ...)                                         \
    do {                                                               \
        if (!(condition)) return failed(place, __LINE__, __VA_ARGS__); \
    } while (0)

/* Notes why and returns false. */
bool failed(Place* place, int line, const char* format, ...) __attribute__((format(printf, 3, 4)));

/* Options that a scenario may add to; the caller destroys them. A client comes back within milliseconds when the server
 * does. */
natsStatus new_options(Place* place, natsOptions** options);

/* Connects; the connection is closed and freed by end_all. */
natsStatus connect_with(Place* place, natsOptions* options, natsConnection** connection);
natsStatus connect_plainly(Place* place, natsConnection** connection);

/* A subscription without a limit of its own, that the server knows of when this returns; freed by end_all. */
natsStatus subscribe(Place* place, natsConnection* connection, const char* subject, natsSubscription** subscription);
natsStatus subscribe_in_group(Place* place, natsConnection* connection, const char* subject, const char* group,
                              natsSubscription** subscription);
natsStatus subscribe_with(Place* place, natsConnection* connection, const char* subject, const char* group,
                          natsMsgHandler handler, void* closure, natsSubscription** subscription);

/* The next message's payload as text, cut at PAYLOAD_TEXT_MAX - 1 bytes. */
natsStatus take(natsSubscription* subscription, char text[PAYLOAD_TEXT_MAX]);
/* Takes the next message and tells whether its payload is this text. */
natsStatus take_expected(natsSubscription* subscription, const char* expected, bool* same);

natsStatus publish_number(natsConnection* connection, const char* subject, int number);
int number_of(const natsMsg* message);

/* Adds one. */
void count(Counter* counter);
/* Waits until the counter is at least this; false after PATIENCE_MS. */
bool wait_for(Counter* counter, int value);

/* Asks whoever runs the server to do something with it ("restart", "lame_duck"), and waits for the answer. */
void ask(const char* what);

void end_all(Place* place);
