/* options.c - reads presets, file and flags into the struct of a process.
 *
 * zconfig parses; it knows no types and takes every name, so the schema is
 * checked here. */
#include "common/options.h"

#include "common/bytes.h"
#include "common/log.h"
#include "common/optionvalue.h"

#include <czmq.h>
#include <stdio.h>

#undef LOG_INFO /* of <syslog.h>, which czmq drags along: ours is another number */
#undef LOG_DEBUG

enum { FILE_BYTES_MAX = 1 << 20 };

const char *const options_sections[] = {"node",      "supervisor", "storage",      "consensus",
                                        "discovery", "api",        "checkpointer", NULL};

/* The reading in hand. */
struct reading {
    const struct option *const *tables;
    const char *program, *path, *text; /* text of the file; NULL: none */
    void *target;
};

static enum err complain(const struct reading *reading, const char *key, unsigned line,
                         const char *advice)
{
    if (line > 0)
        fprintf(stderr, "%s: %s:%u: %s: %s\n", reading->program, reading->path, line, key, advice);
    else if (reading->path != NULL)
        fprintf(stderr, "%s: %s: %s: %s\n", reading->program, reading->path, key, advice);
    else
        fprintf(stderr, "%s: %s: %s\n", reading->program, key, advice);
    return ERR_CONFIG;
}

static enum err set_presets(const struct reading *reading)
{
    char advice[256];
    for (const struct option *const *table = reading->tables; *table != NULL; table++)
        for (const struct option *option = *table; option->name != NULL; option++)
            if (option->preset != NULL &&
                !optionvalue_set(option, reading->target, option->preset, advice, sizeof advice))
                return complain(reading, option->name, 0, advice);
    return ERR_NONE;
}

/* ---- the file ------------------------------------------------------------------------------ */

static const struct option *find(const struct reading *reading, const char *section,
                                 const char *name)
{
    for (const struct option *const *table = reading->tables; *table != NULL; table++)
        for (const struct option *option = *table; option->name != NULL; option++)
            if (strcmp(option->section, section) == 0 && strcmp(option->name, name) == 0)
                return option;
    return NULL;
}

static bool has_section(const struct reading *reading, const char *section)
{
    for (const struct option *const *table = reading->tables; *table != NULL; table++)
        if ((*table)->name != NULL && strcmp((*table)->section, section) == 0)
            return true;
    return false;
}

static bool is_section(const char *name)
{
    for (const char *const *section = options_sections; *section != NULL; section++)
        if (strcmp(*section, name) == 0)
            return true;
    return false;
}

/* True if the line, behind its indentation, begins with this name. */
static bool line_names(const char *line, const char *name)
{
    size_t size = strlen(name);
    line += strspn(line, " \t");
    return strncmp(line, name, size) == 0 && strchr(" \t=\r\n#", line[size]) != NULL;
}

/* zconfig keeps no line numbers: the line of the nth `name` below `section`; 0: not found. */
static unsigned line_of(const char *text, const char *section, const char *name, unsigned nth)
{
    bool inside = section == NULL;
    unsigned number = 1;
    for (const char *line = text; line != NULL && *line != '\0'; number++) {
        bool indented = *line == ' ' || *line == '\t';
        if (section != NULL && !indented && *line != '\n' && *line != '#')
            inside = line_names(line, section);
        if (inside && indented == (section != NULL) && line_names(line, name) && nth-- == 1)
            return number;
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

static void list_names(const struct reading *reading, const char *section, char *out, size_t size)
{
    int at = snprintf(out, size, "is not known here; known are");
    for (const struct option *const *table = reading->tables; *table != NULL; table++)
        for (const struct option *option = *table; option->name != NULL; option++)
            if (strcmp(option->section, section) == 0 && at > 0 && (size_t)at < size)
                at += snprintf(out + at, size - (size_t)at, " %s", option->name);
}

/* How often a name stood before in its section, so that a list may repeat it and others not. */
static unsigned occurrence(zconfig_t *section, zconfig_t *item)
{
    unsigned count = 0;
    for (zconfig_t *at = zconfig_child(section); at != NULL; at = zconfig_next(at)) {
        count += strcmp(zconfig_name(at), zconfig_name(item)) == 0;
        if (at == item)
            break;
    }
    return count;
}

static enum err read_item(const struct reading *reading, zconfig_t *section, zconfig_t *item)
{
    const char *section_name = zconfig_name(section), *name = zconfig_name(item);
    const char *value = zconfig_value(item);
    char key[256], advice[1024];
    unsigned nth = occurrence(section, item);
    unsigned line = line_of(reading->text, section_name, name, nth);
    snprintf(key, sizeof key, "%.100s/%.100s", section_name, name);
    const struct option *option = find(reading, section_name, name);
    if (option == NULL) {
        list_names(reading, section_name, advice, sizeof advice);
        return complain(reading, key, line, advice);
    }
    if (zconfig_child(item) != NULL)
        return complain(reading, key, line, "is a setting, not a section; check the indentation");
    if (nth > 1 && option->kind != OPTION_LIST)
        return complain(reading, key, line, "stands there twice; keep one");
    if (value == NULL || *value == '\0')
        return complain(reading, key, line, "has no value; write name = value");
    if (!optionvalue_set(option, reading->target, value, advice, sizeof advice))
        return complain(reading, key, line, advice);
    return ERR_NONE;
}

static enum err read_sections(const struct reading *reading, zconfig_t *root)
{
    for (zconfig_t *section = zconfig_child(root); section; section = zconfig_next(section)) {
        const char *name = zconfig_name(section);
        unsigned line = line_of(reading->text, NULL, name, 1);
        if (!is_section(name))
            return complain(reading, name, line,
                            "is no section; known are node supervisor storage consensus "
                            "discovery api checkpointer");
        if (zconfig_value(section) != NULL && *zconfig_value(section) != '\0')
            return complain(reading, name, line,
                            "is a section and takes no value; indent settings by 4 spaces below");
        if (!has_section(reading, name))
            continue;
        for (zconfig_t *item = zconfig_child(section); item; item = zconfig_next(item))
            TRY(read_item(reading, section, item));
    }
    return ERR_NONE;
}

static enum err load_text(const struct reading *reading, struct bytes *text)
{
    int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain(reading, "--config", 0, strerror(errno));
    ssize_t got = 1;
    while (got > 0 && text->size <= FILE_BYTES_MAX) {
        got = read(fd, bytes_reserve(text, 65536), 65536);
        text->size += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (got < 0)
        return complain(reading, "--config", 0, strerror(errno));
    if (text->size > FILE_BYTES_MAX)
        return complain(reading, "--config", 0, "is larger than 1 MiB; is it the right file?");
    if (memchr(text->data, 0, text->size) != NULL)
        return complain(reading, "--config", 0, "holds a zero byte; is it the right file?");
    bytes_append(text, "\n", 2);
    return ERR_NONE;
}

static enum err read_file(struct reading *reading)
{
    SCOPED(bytes) text = {0};
    if (reading->path == NULL)
        return ERR_NONE;
    TRY(load_text(reading, &text));
    reading->text = (const char *)text.data;
    zconfig_t *root = zconfig_str_load(reading->text);
    if (root == NULL)
        return complain(reading, "--config", 0,
                        "is not ZPL: a section stands alone, its settings below it are indented "
                        "by 4 spaces as name = value");
    enum err err = read_sections(reading, root);
    zconfig_destroy(&root);
    reading->text = NULL;
    return err;
}

/* ---- flags --------------------------------------------------------------------------------- */

static const struct option *option_of_flag(const struct reading *reading, const char *flag)
{
    char name[64];
    size_t size = strlen(flag);
    if (size >= sizeof name)
        return NULL;
    for (size_t i = 0; i <= size; i++)
        name[i] = flag[i] == '-' ? '_' : flag[i];
    for (const struct option *const *table = reading->tables; *table != NULL; table++)
        for (const struct option *option = *table; option->name != NULL; option++)
            if (strcmp(option->name, name) == 0)
                return option;
    return NULL;
}

static enum err read_flag(const struct reading *reading, const char *flag, const char *value)
{
    char advice[256];
    struct reading flags = *reading;
    flags.path = NULL;
    if (strncmp(flag, "--", 2) != 0)
        return complain(&flags, flag, 0, "is no flag; see --help");
    const struct option *option = option_of_flag(reading, flag + 2);
    if (option == NULL)
        return complain(&flags, flag, 0, "is not known; see --help");
    if (value == NULL)
        return complain(&flags, flag, 0, "needs a value");
    if (!optionvalue_set(option, reading->target, value, advice, sizeof advice))
        return complain(&flags, flag, 0, advice);
    return ERR_NONE;
}

static void print_help(const struct reading *reading, const char *about)
{
    printf("%s - %s\n\n", reading->program, about);
    printf("  --config FILE         settings, ZPL; a flag beats the file\n");
    printf("  --check-config        check the file and the flags, then exit (100: wrong)\n");
    for (const struct option *const *table = reading->tables; *table != NULL; table++) {
        for (const struct option *option = *table; option->name != NULL; option++) {
            char flag[64];
            size_t i = 0;
            for (; option->name[i] != '\0' && i + 1 < sizeof flag; i++)
                flag[i] = option->name[i] == '_' ? '-' : option->name[i];
            flag[i] = '\0';
            printf("  --%-19s %s [%s/%s%s%s]\n", flag, option->sentence, option->section,
                   option->name, option->preset ? ", default " : "",
                   option->preset ? option->preset : "");
        }
    }
}

/* Flags that stand alone. */
static bool is_alone(const char *flag)
{
    return strcmp(flag, "--help") == 0 || strcmp(flag, "--check-config") == 0;
}

enum err options_read(const struct option *const *tables, const char *program, const char *about,
                      int argc, char **argv, void *target, bool *done)
{
    struct reading reading = {.tables = tables, .program = program, .target = target};
    bool check = false;
    *done = false;
    for (int i = 1; i < argc; i += is_alone(argv[i]) ? 1 : 2) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(&reading, about);
            *done = true;
            return ERR_NONE;
        }
        check = check || strcmp(argv[i], "--check-config") == 0;
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            reading.path = argv[i + 1];
    }
    TRY(set_presets(&reading));
    TRY(read_file(&reading));
    for (int i = 1; i < argc; i += is_alone(argv[i]) ? 1 : 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (is_alone(argv[i]) || (strcmp(argv[i], "--config") == 0 && value != NULL))
            continue;
        TRY(read_flag(&reading, argv[i], value));
    }
    *done = check;
    return ERR_NONE;
}

static struct kv kv_of(const struct option *option, const void *target)
{
    const void *at = (const uint8_t *)target + option->offset;
    const char *text;
    switch (option->kind) {
    case OPTION_U64:
        return kv_u64(option->name, *(const uint64_t *)at);
    case OPTION_FLAG:
        return kv_text(option->name, *(const bool *)at ? "yes" : "no");
    case OPTION_LIST:
        return kv_u64(option->name, ((const struct option_list *)at)->count);
    default:
        text = *(const char *const *)at;
        return kv_text(option->name, text != NULL ? text : "");
    }
}

void options_log(const struct option *const *tables, const void *target)
{
    struct kv kvs[64];
    size_t count = 0;
    for (const struct option *const *table = tables; *table != NULL; table++)
        for (const struct option *option = *table; option->name != NULL; option++)
            if (count < COUNT_OF(kvs) && strstr(option->name, "secret") == NULL)
                kvs[count++] = kv_of(option, target);
    log_write(LOG_INFO, "started", kvs, count);
}
