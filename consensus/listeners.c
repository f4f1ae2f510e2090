/* listeners.c - tells the api processes who leads, no oftener than they need it. */
#include "consensus/listeners.h"

#include "common/keys.h"
#include "common/log.h"
#include "consensus/report.h"

enum { QUIET_TICKS = 2 };

void listeners_tell(struct listeners *listeners, struct link *link, const struct message *message)
{
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++)
        if (listeners->at[i])
            link_tell(link, i, message);
}

static void tell_status(struct listeners *listeners, struct link *link,
                        const struct raft_status *status)
{
    struct message message;
    char cluster[REPORT_CLUSTER_SIZE];
    report_leader(status, cluster, &message);
    listeners->told = *status;
    listeners->quiet_ticks = 0;
    listeners_tell(listeners, link, &message);
}

void listeners_add(struct listeners *listeners, struct link *link, uint32_t neighbour,
                   const struct raft_status *status)
{
    struct message message;
    char cluster[REPORT_CLUSTER_SIZE];
    report_leader(status, cluster, &message);
    listeners->at[neighbour] = true;
    link_tell(link, neighbour, &message);
}

static void log_role(const struct raft_status *status)
{
    char leader[NODE_ID_TEXT_SIZE];
    node_id_print(status->leader, leader);
    log_info("role", kv_text("role", status->role_name), kv_u64("term", status->term),
             kv_text("leader", leader), kv_text("waits_for", status->waits_for));
}

void listeners_notice(struct listeners *listeners, struct link *link,
                      const struct raft_status *status)
{
    const struct raft_status *told = &listeners->told;
    if (!report_differs(status, told))
        return;
    if (status->role != told->role || status->role_name != told->role_name ||
        status->leader != told->leader)
        log_role(status);
    tell_status(listeners, link, status);
}

void listeners_tick(struct listeners *listeners, struct link *link,
                    const struct raft_status *status)
{
    bool news = status->commit_index != listeners->told.commit_index ||
                status->leader_commit != listeners->told.leader_commit;
    if (news || ++listeners->quiet_ticks >= QUIET_TICKS)
        tell_status(listeners, link, status);
}
