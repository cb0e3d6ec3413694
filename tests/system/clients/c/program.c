/* program URL[,URL] [scenario...]: runs the scenarios (default: all) at this server; the second URL is lame_duck's.
 *
 * One line each, `ok <scenario>` or `FAILED <scenario>: why`; ends with 1 if any failed. Where the server has to be
 * restarted or sent away, it prints `ready restart` or `ready lame_duck` and goes on when it reads a line.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"

static const Scenario* find(const char* name) {
    for (const Scenario* scenario = all_scenarios; scenario->name != NULL; scenario++)
        if (strcmp(scenario->name, name) == 0) return scenario;
    fprintf(stderr, "no scenario '%s'\n", name);
    exit(2);
}

static int run(const Scenario* scenario, const char* url, const char* other_url) {
    static Place place;
    memset(&place, 0, sizeof place);
    place.url = url;
    place.other_url = other_url;
    bool good = scenario->run(&place);
    end_all(&place);
    if (good)
        printf("ok %s\n", scenario->name);
    else
        printf("FAILED %s: %s\n", scenario->name, place.why);
    fflush(stdout);
    return good ? 0 : 1;
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: program URL[,URL] [scenario...]\n");
        return 2;
    }
    char* other_url = strchr(argv[1], ',');
    if (other_url != NULL) *other_url++ = '\0';
    int failures = 0;
    for (int i = 2; i < argc; i++) failures += run(find(argv[i]), argv[1], other_url);
    for (const Scenario* scenario = all_scenarios; argc == 2 && scenario->name != NULL; scenario++)
        failures += run(scenario, argv[1], other_url);
    nats_Close();
    return failures > 0 ? 1 : 0;
}
