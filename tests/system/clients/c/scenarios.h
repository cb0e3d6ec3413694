/* What a NATS application does, one function per scenario, with libnats, the official C client. ../README.md says what
 * each is. */
#pragma once

#include "place.h"

typedef struct {
    const char* name;
    bool (*run)(Place* place);
} Scenario;

extern const Scenario all_scenarios[]; /* ends with a NULL name */
