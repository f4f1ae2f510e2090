/* settings.c - the verb cluster config: what the whole cluster agrees on. */
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"

#include "protocol/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(const char *what, const char *about)
{
    fprintf(stderr, "changeagent: cluster config: %s%s; say show, or set NAME=NUMBER …\n", what,
            about);
    return EXIT_USAGE;
}

/* "name=number"; suffixes would be guesses. */
static bool parse(const char *word, struct ca_setting *setting)
{
    const char *equals = strchr(word, '=');
    if (equals == NULL || equals == word || (size_t)(equals - word) >= sizeof setting->name)
        return false;
    memcpy(setting->name, word, (size_t)(equals - word));
    char *end;
    errno = 0;
    setting->value = strtoull(equals + 1, &end, 10);
    return equals[1] >= '0' && equals[1] <= '9' && *end == '\0' && errno == 0;
}

/* A setting that only a newer server knows has no sentence here. */
static const char *sentence_of(const char *name)
{
    uint32_t row;
    const char *known, *sentence = "";
    uint64_t preset;
    if (settings_find(SPAN_TEXT(name), &row))
        (void)settings_row(&settings_preset, row, &known, &preset, &sentence);
    return sentence;
}

static void print_settings(const struct ca_settings *settings, enum output output)
{
    if (output == OUTPUT_TABLE) {
        for (uint32_t i = 0; i < settings->count; i++)
            printf("%-24s %12llu  %s\n", settings->at[i].name,
                   (unsigned long long)settings->at[i].value, sentence_of(settings->at[i].name));
        return;
    }
    for (uint32_t i = 0; i < settings->count; i++)
        printf("%s\"%s\": %llu", i == 0 ? "{" : ", ", settings->at[i].name,
               (unsigned long long)settings->at[i].value);
    printf("%s}\n", settings->count == 0 ? "{" : "");
}

static int show(struct ca *ca, const struct args *args)
{
    struct ca_settings settings;
    if (ca_settings(ca, &settings) != CA_OK)
        return args_fail(ca_last_error(ca));
    print_settings(&settings, args->output);
    return EXIT_OK;
}

static int set(struct ca *ca, const struct args *args)
{
    struct ca_setting settings[ARGS_WORDS_MAX] = {0};
    uint32_t count = args->word_count - 2;
    for (uint32_t i = 0; i < count; i++)
        if (!parse(args->words[i + 2], &settings[i]))
            return usage("not NAME=NUMBER: ", args->words[i + 2]);
    if (ca_settings_set(ca, settings, count, NULL) != CA_OK)
        return args_fail(ca_last_error(ca));
    return show(ca, args);
}

int verb_cluster(const struct args *args)
{
    struct ca *ca;
    const char *what = args->word_count > 1 ? args->words[1] : "";
    bool shows = strcmp(what, "show") == 0 && args->word_count == 2;
    bool sets = strcmp(what, "set") == 0 && args->word_count > 2;
    if (args->word_count < 1 || strcmp(args->words[0], "config") != 0 || (!shows && !sets))
        return usage("what is to be done?", "");
    if (args_open(args, NULL, &ca) != CA_OK)
        return EXIT_USAGE;
    int exit = shows ? show(ca, args) : set(ca, args);
    ca_close(ca);
    return print_flush() ? exit : EXIT_SYSTEM;
}
