/* Subscribes with the official C client, takes one message and prints it with the headers by which the tree tells how
 * it came:
 *
 *   print_trace nats://127.0.0.1:4222 'greetings.*'
 *
 *   message hello
 *   path 539 = 7²·11
 *   hop a 3 0            name of the gateway, its prime, its exponent in the path; one line per hop, in order */

#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>

enum { wait_ms_max = 20000 };

static int fail(const char* what, natsStatus status) {
    fprintf(stderr, "print_trace: %s: %s\n", what, natsStatus_GetText(status));
    return 1;
}

static void print_values(natsMsg* message, const char* header, const char* label) {
    const char** values = NULL;
    int count = 0;
    if (natsMsgHeader_Values(message, header, &values, &count) != NATS_OK) return;
    for (int i = 0; i < count; ++i) printf("%s %s\n", label, values[i]);
    free((void*)values);
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "print_trace <url> <subject>\n");
        return 2;
    }
    natsConnection* connection = NULL;
    natsSubscription* subscription = NULL;
    natsMsg* message = NULL;
    natsStatus status = natsConnection_ConnectTo(&connection, argv[1]);
    if (status != NATS_OK) return fail(argv[1], status);
    status = natsConnection_SubscribeSync(&subscription, connection, argv[2]);
    if (status == NATS_OK) status = natsConnection_Flush(connection);
    if (status != NATS_OK) return fail("subscribe", status);
    printf("ready\n");
    fflush(stdout);
    status = natsSubscription_NextMsg(&message, subscription, wait_ms_max);
    if (status != NATS_OK) return fail("receive", status);
    printf("message %.*s\n", natsMsg_GetDataLength(message), natsMsg_GetData(message));
    print_values(message, "Tree-Path", "path");
    print_values(message, "Tree-Hop", "hop");
    natsMsg_Destroy(message);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    nats_Close();
    return 0;
}
