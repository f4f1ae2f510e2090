#include "storage/inspect.h"

#include "common/log.h"
#include "common/service.h"
#include "storage/artefact.h"
#include "storage/incoming.h"

#include <inttypes.h>
#include <stdio.h>

static int refuse(const char *directory, const char *name, enum err err)
{
    fprintf(stderr, "changeagent-storage: %s%s%s: %s\n", directory, name ? ": " : "",
            name ? name : "",
            err == ERR_NOT_FOUND ? "no MANIFEST: not a snapshot, or one that was never finished"
            : err == ERR_CORRUPT ? "damaged: use another backup"
                                 : err_sentence(err));
    return err == ERR_IO ? EXIT_STORAGE : EXIT_CORRUPTION;
}

static void print_hex(const char *name, const uint8_t *bytes, size_t size)
{
    printf("%s ", name);
    for (size_t i = 0; i < size; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static void report(const struct artefact *artefact)
{
    const struct manifest *manifest = &artefact->manifest;
    print_hex("id", artefact->id, HASH_SIZE);
    print_hex("cluster", manifest->cluster, sizeof manifest->cluster);
    printf("history %016" PRIx64 "\n", manifest->history);
    printf("log %" PRIu64 " to %" PRIu64 ", term %" PRIu64 "\n", manifest->first_index,
           manifest->index, manifest->term);
    printf("last id %" PRIu64 "\n", manifest->last_id);
    print_hex("chain", manifest->change_hash, HASH_SIZE);
    printf("%" PRIu32 " files, %" PRIu64 " bytes: whole\n", manifest->count, artefact->size);
}

int inspect_main(int argc, char **argv)
{
    SCOPED(artefact) artefact = {0};
    const char *name = NULL;
    if (argc != 3) {
        fprintf(stderr, "changeagent-storage: snapshot DIR\n");
        return EXIT_CONFIG;
    }
    log_open("storage", LOG_ERROR);
    enum err err = artefact_open(&artefact, argv[2]);
    if (err == ERR_NONE)
        err = artefact_verify(&artefact, &name);
    if (err == ERR_NONE)
        err = incoming_check(argv[2], &artefact.manifest, &name);
    if (err != ERR_NONE)
        return refuse(argv[2], name, err);
    report(&artefact);
    return EXIT_DONE;
}
