/* rooms_bench: CPU of view and keeper per change, late writing and sealing included.
 *
 *   rooms_bench [entries a segment] [segments] [entries a batch] [distinct tags] */
#include "../unit/rooms_kit.h"

#include <sys/resource.h>

static double cpu_s(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void load(struct kit_house *house, struct log_kit *kit, uint64_t count, unsigned tags)
{
    char data[257] = {0};
    memset(data, 'x', 256);
    bytes_clear(&kit->records);
    for (uint64_t i = 0; i < count; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%u", (unsigned)(kit->last * 2654435761u % tags));
        kit_put(kit, kit->last + 1, 1, 1, tag, data);
    }
    kit_store(house, bytes_span(&kit->records));
}

static uint64_t argument(int argc, char **argv, int at, uint64_t preset)
{
    return argc > at ? strtoull(argv[at], NULL, 10) : preset;
}

int main(int argc, char **argv)
{
    uint64_t entries = argument(argc, argv, 1, 50000), parts = argument(argc, argv, 2, 4);
    uint64_t batch = argument(argc, argv, 3, 64);
    unsigned tags = (unsigned)argument(argc, argv, 4, 1000);
    static struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    double before = cpu_s(RUSAGE_SELF) - cpu_s(RUSAGE_THREAD);
    uint64_t begin = clock_now_us();
    for (uint64_t part = 0; part < parts; part++) {
        if (part > 0)
            kit_roll(&house);
        for (uint64_t i = 0; i < entries; i += batch) {
            load(&house, &kit, batch, tags);
            kit_commit(&house, kit.last, 1);
            while (kit.last - house.applied > 20000)
                kit_turn(&house);
        }
    }
    KIT_WAIT(&house, house.applied == kit.last);
    uint64_t applied_us = clock_now_us() - begin;
    char index[160];
    snprintf(index, sizeof index, "%s.index", house.paths[parts > 1 ? parts - 2 : 0]);
    KIT_WAIT(&house, parts < 2 || access(index, F_OK) == 0);
    double used = cpu_s(RUSAGE_SELF) - cpu_s(RUSAGE_THREAD) - before;
    printf("changes %llu  applied/s %.0f  cpu_us/change %.2f  (view, keeper and their sockets)\n",
           (unsigned long long)kit.last, (double)kit.last / (double)applied_us * 1e6,
           used / (double)kit.last * 1e6);
    kit_stop(&house);
    kit_close(&kit);
    kit_house_close(&house);
    return 0;
}
