/* settings: all or nothing, by name, within bounds; the same numbers everywhere. */
#include "protocol/settings.h"

#include "protocol/wire.h"
#include "test.h"

static enum err merge_one(struct settings *settings, const char *name, uint64_t value)
{
    SCOPED(bytes) body = {0};
    wire_pack_map(&body, 1);
    wire_pack_counter(&body, name, value);
    return settings_merge(settings, bytes_span(&body), NULL);
}

static enum err merge(struct settings *settings, const char *name, uint64_t value,
                      const char **detail)
{
    SCOPED(bytes) body = {0};
    wire_pack_map(&body, 2);
    wire_pack_counter(&body, "retention.min_age_s", 60);
    wire_pack_counter(&body, name, value);
    return settings_merge(settings, bytes_span(&body), detail);
}

TEST(what_is_named_changes_and_nothing_else)
{
    struct settings settings = settings_preset;
    CHECK(merge(&settings, "limits.tags", 3, NULL) == ERR_NONE);
    CHECK(settings.min_age_s == 60 && settings.tags == 3);
    CHECK(settings.put_bytes == settings_preset.put_bytes && settings.min_records == 0);
    struct change_limits limits = settings_limits(&settings);
    CHECK(limits.tags_max == 3 && limits.body_bytes_max == 4 << 20);
    CHECK(limits.tag_bytes_max == change_limits_default.tag_bytes_max);
}

TEST(a_wrong_one_spoils_all_and_is_named)
{
    const struct {
        const char *name;
        uint64_t value;
        enum err err;
    } wrong[] = {
        {"limits.tags", 65, ERR_LIMIT},
        {"limits.change_bytes", 1023, ERR_LIMIT},
        {"limits.change_bytes", (1 << 20) + 1, ERR_LIMIT},
        {"retention.max_bytes", 1, ERR_LIMIT},
        {"retention.peer_records", 0, ERR_LIMIT},
        {"retention.min_records", UINT64_MAX, ERR_LIMIT},
        {"retention", 1, ERR_BAD_REQUEST},
        {"", 1, ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct settings settings = settings_preset;
        const char *detail = NULL;
        CHECK(merge(&settings, wrong[i].name, wrong[i].value, &detail) == wrong[i].err);
        CHECK(detail != NULL && memcmp(&settings, &settings_preset, sizeof settings) == 0);
        CHECK(wrong[i].err != ERR_LIMIT || strncmp(detail, wrong[i].name, 8) == 0);
    }
}

TEST(bounds_belong_to_it)
{
    struct settings settings = settings_preset;
    CHECK(merge(&settings, "retention.max_bytes", 0, NULL) == ERR_NONE);
    CHECK(merge(&settings, "retention.max_bytes", 1 << 26, NULL) == ERR_NONE);
    CHECK(merge(&settings, "limits.change_bytes", 1 << 20, NULL) == ERR_NONE);
    CHECK(merge(&settings, "limits.tags", 0, NULL) == ERR_NONE);
    for (uint32_t row = 0; row < SETTINGS_COUNT; row++) { /* presets are values it may have */
        const char *name, *sentence;
        uint64_t value;
        struct settings fresh = settings_preset;
        CHECK(settings_row(&settings_preset, row, &name, &value, &sentence));
        CHECK(merge_one(&fresh, name, value) == ERR_NONE);
    }
}

/* Every cut and every flipped bit of a good body: refused, or a map within bounds. */
TEST(garbage_is_refused)
{
    SCOPED(bytes) body = {0};
    settings_encode(&settings_preset, &body);
    for (size_t size = 0; size < body.size; size++) {
        struct settings settings = settings_preset;
        CHECK(settings_merge(&settings, SPAN(body.data, size), NULL) == ERR_BAD_REQUEST);
    }
    for (size_t bit = 0; bit < body.size * 8; bit++) {
        struct settings settings = settings_preset;
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)!settings_merge(&settings, bytes_span(&body), NULL);
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(settings.tags <= 64 && settings.change_bytes <= 1 << 20);
        CHECK(settings.put_bytes <= 4 << 20 && settings.changes >= 1 && settings.changes <= 1024);
    }
    static const uint8_t not_a_map[] = {0x91, 0x01}, empty[] = {0x80};
    struct settings settings = settings_preset;
    CHECK(settings_merge(&settings, SPAN(not_a_map, 2), NULL) == ERR_BAD_REQUEST);
    CHECK(settings_merge(&settings, SPAN(empty, 1), NULL) == ERR_BAD_REQUEST);
}

TEST(numbers_come_back_and_a_shorter_list_keeps_presets)
{
    uint8_t saved[SETTINGS_COUNT * 8];
    struct settings settings = settings_preset, loaded;
    CHECK(merge(&settings, "limits.changes", 7, NULL) == ERR_NONE);
    settings_save(&settings, saved);
    CHECK(settings_load(SPAN(saved, sizeof saved), &loaded) == ERR_NONE);
    CHECK(memcmp(&loaded, &settings, sizeof loaded) == 0);
    CHECK(settings_load(SPAN(saved, 16), &loaded) == ERR_NONE);
    CHECK(loaded.min_age_s == 60 && loaded.changes == settings_preset.changes);
    CHECK(settings_load(SPAN(saved, 15), &loaded) == ERR_BAD_MESSAGE);
}

/* A switch that no older version may miss, and that nobody turns back. */
TEST(the_feature_level_is_found_and_bounded)
{
    SCOPED(bytes) body = {0};
    struct settings settings = settings_preset;
    wire_pack_map(&body, 2);
    wire_pack_counter(&body, "limits.tags", 3);
    wire_pack_counter(&body, "cluster.feature_level", 7);
    CHECK(settings_level_in(bytes_span(&body)) == 7);
    CHECK(settings_level_in(SPAN(body.data, body.size - 1)) == 0);
    CHECK(settings_level_in(SPAN("\x93", 1)) == 0);
    CHECK(settings_merge(&settings, bytes_span(&body), NULL) == ERR_LIMIT);
    CHECK(merge_one(&settings, "cluster.feature_level", 0) == ERR_LIMIT);
    CHECK(merge_one(&settings, "cluster.feature_level", SETTINGS_FEATURE_LEVEL) == ERR_NONE);
}

TEST_MAIN(T(the_feature_level_is_found_and_bounded), T(what_is_named_changes_and_nothing_else),
          T(a_wrong_one_spoils_all_and_is_named), T(bounds_belong_to_it), T(garbage_is_refused),
          T(numbers_come_back_and_a_shorter_list_keeps_presets))
