/* print.h - how things look: a table for people, JSON for programs. */
#ifndef CMD_CHANGEAGENT_PRINT_H
#define CMD_CHANGEAGENT_PRINT_H

#include "cmd/changeagent/args.h"
#include "client/operate.h"

/* A change: one line of a table, or one line of JSON. Data that is text is `data`, else
 * `data_base64`. */
void print_row(const struct ca_row *row, enum output output);
void print_page(const struct ca_page *page, enum output output);
void print_table_head(enum output output);

void print_put(const struct ca_result *result, enum output output);
void print_head(const struct ca_head *head, enum output output);

void print_count(const struct ca_count *count, enum output output);

void print_node(const struct ca_node *node, enum output output);

void print_holders(const struct ca_holders *holders, enum output output);
void print_rules(const struct ca_rules *rules, enum output output);

void print_members(const struct ca_members *members, enum output output);

/* One status, or with `many` one of a list: begin, each, end. */
void print_statuses_begin(enum output output, bool many);
void print_status(const char *endpoint, const struct ca_status *status, enum output output,
                  bool many);
void print_status_failed(const char *endpoint, const struct ca_error *error, enum output output);
void print_statuses_end(enum output output, bool many);

/* What bench measured, in the order given; NAN is left out. */
struct print_number {
    const char *name;
    double value;
    int decimals;
};
void print_numbers(const struct print_number *numbers, size_t count, enum output output);

/* Pushes what was printed out. False: stdout is gone. */
bool print_flush(void);

#endif
