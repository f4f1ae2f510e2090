/* catchup_kit.h - the snapshot that the tests of both sides speak of. */
#ifndef TESTS_UNIT_CATCHUP_KIT_H
#define TESTS_UNIT_CATCHUP_KIT_H

#include "consensus/catchup.h"

#include "tests/unit/raft_kit.h"

enum { SNAPSHOT_BYTES = 10 << 20 };

static const uint8_t id[HASH_SIZE] = "a snapshot", hash[HASH_SIZE] = "of a slice";
static uint8_t bytes_of_slice[CATCHUP_SLICE_BYTES];

#endif
