#define _POSIX_C_SOURCE 200809L
#include "place.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool failed(Place* place, int line, const char* format, ...) {
    int used = snprintf(place->why, sizeof place->why, "line %d: ", line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(place->why + used, sizeof place->why - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

/* The library prints asynchronous errors when nobody listens; scenarios bring some about on purpose. */
static void ignore_error(natsConnection* connection, natsSubscription* subscription, natsStatus status, void* closure) {
    (void)connection, (void)subscription, (void)status, (void)closure;
}

natsStatus new_options(Place* place, natsOptions** options) {
    natsStatus status = natsOptions_Create(options);
    if (status == NATS_OK) status = natsOptions_SetURL(*options, place->url);
    if (status == NATS_OK) status = natsOptions_SetMaxReconnect(*options, -1);
    if (status == NATS_OK) status = natsOptions_SetReconnectWait(*options, 50);
    if (status == NATS_OK) status = natsOptions_SetReconnectJitter(*options, 10, 10);
    if (status == NATS_OK) status = natsOptions_SetErrorHandler(*options, ignore_error, NULL);
    return status;
}

natsStatus connect_with(Place* place, natsOptions* options, natsConnection** connection) {
    if (place->connection_count == CONNECTIONS_MAX) return NATS_NO_MEMORY;
    natsStatus status = natsConnection_Connect(connection, options);
    if (status == NATS_OK) place->connections[place->connection_count++] = *connection;
    return status;
}

natsStatus connect_plainly(Place* place, natsConnection** connection) {
    natsOptions* options = NULL;
    natsStatus status = new_options(place, &options);
    if (status == NATS_OK) status = connect_with(place, options, connection);
    natsOptions_Destroy(options);
    return status;
}

/* Keeps a new subscription and lets the server know of it. */
static natsStatus keep(Place* place, natsConnection* connection, natsSubscription* subscription) {
    if (place->subscription_count == SUBSCRIPTIONS_MAX) {
        natsSubscription_Destroy(subscription);
        return NATS_NO_MEMORY;
    }
    place->subscriptions[place->subscription_count++] = subscription;
    natsStatus status = natsSubscription_SetPendingLimits(subscription, -1, -1);
    return status == NATS_OK ? natsConnection_FlushTimeout(connection, PATIENCE_MS) : status;
}

natsStatus subscribe(Place* place, natsConnection* connection, const char* subject, natsSubscription** subscription) {
    natsStatus status = natsConnection_SubscribeSync(subscription, connection, subject);
    return status == NATS_OK ? keep(place, connection, *subscription) : status;
}

natsStatus subscribe_in_group(Place* place, natsConnection* connection, const char* subject, const char* group,
                              natsSubscription** subscription) {
    natsStatus status = natsConnection_QueueSubscribeSync(subscription, connection, subject, group);
    return status == NATS_OK ? keep(place, connection, *subscription) : status;
}

natsStatus subscribe_with(Place* place, natsConnection* connection, const char* subject, const char* group,
                          natsMsgHandler handler, void* closure, natsSubscription** subscription) {
    natsStatus status = group == NULL
                            ? natsConnection_Subscribe(subscription, connection, subject, handler, closure)
                            : natsConnection_QueueSubscribe(subscription, connection, subject, group, handler, closure);
    return status == NATS_OK ? keep(place, connection, *subscription) : status;
}

natsStatus take(natsSubscription* subscription, char text[PAYLOAD_TEXT_MAX]) {
    natsMsg* message = NULL;
    natsStatus status = natsSubscription_NextMsg(&message, subscription, PATIENCE_MS);
    if (status == NATS_OK)
        snprintf(text, PAYLOAD_TEXT_MAX, "%.*s", natsMsg_GetDataLength(message), natsMsg_GetData(message));
    natsMsg_Destroy(message);
    return status;
}

natsStatus take_expected(natsSubscription* subscription, const char* expected, bool* same) {
    char text[PAYLOAD_TEXT_MAX];
    natsStatus status = take(subscription, text);
    *same = status == NATS_OK && strcmp(text, expected) == 0;
    return status;
}

natsStatus publish_number(natsConnection* connection, const char* subject, int number) {
    char text[PAYLOAD_TEXT_MAX];
    snprintf(text, sizeof text, "%d", number);
    return natsConnection_PublishString(connection, subject, text);
}

int number_of(const natsMsg* message) {
    return atoi(natsMsg_GetData(message)); /* libnats puts a NUL after the payload */
}

void count(Counter* counter) {
    pthread_mutex_lock(&counter->lock);
    counter->value++;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->lock);
}

bool wait_for(Counter* counter, int value) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&counter->lock);
    int problem = 0;
    while (counter->value < value && problem == 0)
        problem = pthread_cond_timedwait(&counter->changed, &counter->lock, &until);
    bool reached = counter->value >= value;
    pthread_mutex_unlock(&counter->lock);
    return reached;
}

void ask(const char* what) {
    printf("ready %s\n", what);
    fflush(stdout);
    int c;
    while ((c = getchar()) != '\n' && c != EOF) continue;
}

void end_all(Place* place) {
    for (size_t i = 0; i < place->connection_count; i++) natsConnection_Close(place->connections[i]);
    for (size_t i = 0; i < place->subscription_count; i++) natsSubscription_Destroy(place->subscriptions[i]);
    for (size_t i = 0; i < place->connection_count; i++) natsConnection_Destroy(place->connections[i]);
    place->connection_count = place->subscription_count = 0;
}
