/* Subscribes with the official C client and counts numbered orders ("order 17"): how many came, how many of them came
 * twice, and how many came too early or too late.
 *
 *   count_orders nats://127.0.0.1:4222 'orders.>' 5000
 *
 * Says "ready" when the server has the subscription, and ends when all have come, or when none has come for a while. */

#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    quiet_ms_max = 50000, /* none for so long: no more will come, even on a slow machine */
    linger_ms = 500       /* wait for repeats after the last one */
};

static int fail(const char* what, natsStatus status) {
    fprintf(stderr, "count_orders: %s: %s\n", what, natsStatus_GetText(status));
    return 1;
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "count_orders <url> <subject> <count>\n");
        return 2;
    }
    const long wanted = atol(argv[3]);
    unsigned char* seen = calloc((size_t)wanted + 1, 1);
    natsConnection* connection = NULL;
    natsSubscription* subscription = NULL;
    natsStatus status = natsConnection_ConnectTo(&connection, argv[1]);
    if (status != NATS_OK) return fail(argv[1], status);
    status = natsConnection_SubscribeSync(&subscription, connection, argv[2]);
    if (status == NATS_OK) status = natsSubscription_SetPendingLimits(subscription, -1, -1);
    if (status == NATS_OK) status = natsConnection_Flush(connection);
    if (status != NATS_OK) return fail("subscribe", status);
    printf("ready\n");
    fflush(stdout);

    long distinct = 0, duplicates = 0, disorder = 0, last = 0;
    for (;;) {
        natsMsg* message = NULL;
        status = natsSubscription_NextMsg(&message, subscription, distinct < wanted ? quiet_ms_max : linger_ms);
        if (status == NATS_TIMEOUT) break;
        if (status != NATS_OK) return fail("receive", status);
        char text[32] = {0};
        long number = 0;
        const int length = natsMsg_GetDataLength(message);
        memcpy(text, natsMsg_GetData(message), (size_t)(length < 31 ? length : 31));
        natsMsg_Destroy(message);
        if (sscanf(text, "order %ld", &number) != 1 || number < 1 || number > wanted) {
            fprintf(stderr, "count_orders: not an order: %s\n", text);
            return 1;
        }
        if (seen[number]) {
            ++duplicates;
        } else {
            seen[number] = 1;
            ++distinct;
        }
        if (number != last + 1) ++disorder;
        last = number;
    }
    printf("{\"received\": %ld, \"missing\": %ld, \"duplicates\": %ld, \"out_of_order\": %ld}\n", distinct,
           wanted - distinct, duplicates, disorder);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    nats_Close();
    free(seen);
    return 0;
}
