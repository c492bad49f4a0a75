/*
 * Several addresses tried at once, by one task: the sockets connect by themselves, and wake it when
 * they have. Nothing is allocated.
 */
#include "io/eyeballs.h"

#include <errno.h>
#include <string.h>

#include <cio/socket.h>

#include "io/address.h"
#include "io/channel.h"
#include "task/tell.h"

#define AT_ONCE_MOST 8 /* they lie in the waiting frame; more addresses wait until one has failed */

struct attempt {
    cio_handle handle; /* waits for the socket */
    struct race *race; /* NULL: nothing is under way here */
    int fd;
    bool answered;
    size_t number; /* in the report */
};

struct race {
    struct cio__wait wait;
    cio_task *task;
    const struct addrinfo *peers;
    const struct addrinfo *next; /* to be tried next */
    const struct addrinfo *local;
    cio_connect_report *report; /* or NULL */
    double delay_s;
    bool due; /* the next one's time has come */
    cio_handle timer;
    int n_under_way;
    int error; /* the most telling so far; 0: none */
    struct attempt attempts[AT_ONCE_MOST];
};

/* ---- the order ---- */

void cio__interleave(struct addrinfo *peers, const cio_connect_options *options)
{
    int interleave = options->interleave;
    if (interleave < 0 || (interleave == 0 && options->happy_eyeballs_delay == CIO_FOREVER))
        return;
    if (interleave == 0)
        interleave = 1;
    struct addrinfo *first = NULL, **first_end = &first, *other = NULL, **other_end = &other;
    int family = peers->ai_family;
    for (struct addrinfo *peer = peers; peer; peer = peer->ai_next) {
        struct addrinfo ***end = peer->ai_family == family ? &first_end : &other_end;
        **end = peer;
        *end = &peer->ai_next;
    }
    *first_end = *other_end = NULL;
    struct addrinfo **place = &first;
    for (int i = 0; i < interleave && *place; i++)
        place = &(*place)->ai_next;
    while (other) {
        struct addrinfo *rest = *place;
        *place = other;
        other = other->ai_next;
        (*place)->ai_next = rest;
        place = &(*place)->ai_next;
        if (*place)
            place = &(*place)->ai_next;
    }
}

/* ---- what is told ---- */

static size_t report_begin(cio_connect_report *report, const struct addrinfo *peer)
{
    if (!report)
        return 0;
    if (report->n < report->room) {
        cio_connect_attempt *attempt = &report->attempts[report->n];
        memset(attempt, 0, sizeof *attempt);
        memcpy(&attempt->address, peer->ai_addr, peer->ai_addrlen);
        attempt->address_size = peer->ai_addrlen;
    }
    return report->n++;
}

static void report_end(cio_connect_report *report, size_t number, int rc)
{
    if (report && number < report->room)
        report->attempts[number].rc = rc;
}

/* Whether the error says more of this machine than of the peer. */
static bool is_own_lack(int rc)
{
    return rc == -EAFNOSUPPORT || rc == -EPROTONOSUPPORT || rc == -EADDRNOTAVAIL ||
           rc == -ENETUNREACH;
}

static void note_error(struct race *race, int rc)
{
    if (race->error == 0 || (is_own_lack(race->error) && !is_own_lack(rc)))
        race->error = rc;
}

static void tell_race(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct race *race = (const struct race *)wait;
    cio__tell(tale, "%d attempt%s to connect", race->n_under_way,
              race->n_under_way == 1 ? "" : "s");
}

/* ---- attempts ---- */

static void on_answer(void *arg)
{
    struct attempt *attempt = arg;
    attempt->answered = true;
    cio__wake(attempt->race->task);
}

static void on_time(void *arg)
{
    struct race *race = arg;
    race->due = true;
    cio__wake(race->task);
}

/* Binds to the first of our addresses that is of the peer's family. */
static int bind_local(int fd, const struct addrinfo *peer, const struct addrinfo *local)
{
    struct cio__os *os = cio__running->os;
    int rc = -EADDRNOTAVAIL;
    for (; local; local = local->ai_next) {
        if (local->ai_family != peer->ai_family)
            continue;
        rc = os->ops->bind(os, fd, local->ai_addr, local->ai_addrlen);
        if (rc == 0)
            break;
    }
    return rc;
}

static int listen_for_answer(struct attempt *attempt)
{
    cio_loop *loop = cio__running;
    struct cio__file *file = cio__file_get(loop, attempt->fd);
    attempt->handle = (cio_handle){.fn = on_answer, .arg = attempt, .loop = loop, .hint = attempt};
    cio__ring_init(&attempt->handle.waiting);
    int rc = cio__file_wait(loop, file, CIO__WRITE, &attempt->handle);
    if (rc < 0)
        cio__ring_init(&attempt->handle.waiting);
    return rc;
}

/* Returns 0: it has connected at once; -EINPROGRESS; or why it cannot. */
static int begin_socket(struct attempt *attempt, const struct addrinfo *peer,
                        const struct addrinfo *local)
{
    struct cio__os *os = cio__running->os;
    attempt->fd = cio_sock_open(peer->ai_family, SOCK_STREAM, 0);
    if (attempt->fd < 0)
        return attempt->fd;
    int rc = local ? bind_local(attempt->fd, peer, local) : 0;
    if (rc == 0)
        rc = os->ops->connect(os, attempt->fd, peer->ai_addr, peer->ai_addrlen);
    if (rc == -EINPROGRESS) {
        rc = listen_for_answer(attempt);
        rc = rc < 0 ? rc : -EINPROGRESS;
    }
    if (rc < 0 && rc != -EINPROGRESS)
        cio_sock_close(attempt->fd);
    return rc;
}

/* The attempt is over. Returns its descriptor if it has connected, else a negative. */
static int settle(struct race *race, struct attempt *attempt, int rc)
{
    report_end(race->report, attempt->number, rc);
    if (rc == 0)
        return attempt->fd;
    note_error(race, rc);
    race->due = true;
    return rc;
}

static void stop(struct attempt *attempt)
{
    cio__channel_unlisten(&attempt->handle);
    attempt->race->n_under_way--;
    attempt->race = NULL;
}

/* Tries the next address. Returns a descriptor or a negative: not yet. */
static int begin(struct race *race)
{
    struct attempt *attempt = race->attempts;
    while (attempt->race)
        attempt++;
    const struct addrinfo *peer = race->next;
    do
        race->next = race->next->ai_next;
    while (race->next && cio__address_is_double(race->peers, race->next));
    race->due = false;
    attempt->answered = false;
    attempt->number = report_begin(race->report, peer);
    int rc = begin_socket(attempt, peer, race->local);
    if (rc != -EINPROGRESS)
        return settle(race, attempt, rc);
    attempt->race = race;
    race->n_under_way++;
    return rc;
}

/* The next address has its time. Returns 0 or -ENOMEM. */
static int set_timer(struct race *race)
{
    if (!race->next || race->delay_s == CIO_FOREVER)
        return 0;
    return cio_call_later(cio__running, &race->timer, race->delay_s, on_time, race);
}

/* Tries what is due. Returns a descriptor; a negative: nothing has connected yet. */
static int begin_due(struct race *race)
{
    int rc = -EINPROGRESS;
    bool begun = false;
    while (rc < 0 && race->next && race->due && race->n_under_way < AT_ONCE_MOST) {
        rc = begin(race);
        begun = true;
    }
    if (begun)
        cio_handle_cancel(&race->timer);
    if (rc >= 0 || !begun)
        return rc;
    int failed = set_timer(race);
    if (failed < 0)
        note_error(race, failed); /* the next one has its turn when this one fails */
    return rc;
}

/* Looks at the attempts that have been answered. Returns a descriptor or a negative. */
static int look_at_answers(struct race *race)
{
    struct cio__os *os = cio__running->os;
    int rc = -EINPROGRESS;
    for (int i = 0; i < AT_ONCE_MOST && rc < 0; i++) {
        struct attempt *attempt = &race->attempts[i];
        if (!attempt->race || !attempt->answered)
            continue;
        stop(attempt);
        rc = settle(race, attempt, os->ops->socket_error(os, attempt->fd));
        if (rc < 0)
            cio_sock_close(attempt->fd);
    }
    return rc;
}

static void end_all(struct race *race)
{
    cio_handle_cancel(&race->timer);
    for (int i = 0; i < AT_ONCE_MOST; i++) {
        struct attempt *attempt = &race->attempts[i];
        if (!attempt->race)
            continue;
        stop(attempt);
        cio_sock_close(attempt->fd);
        report_end(race->report, attempt->number, CIO_ECANCELED);
    }
}

int cio__connect_any(const struct addrinfo *peers, const struct addrinfo *local,
                     const cio_connect_options *options)
{
    static const struct cio__wait_kind kind = {.name = "cio_open_connection", .tell = tell_race};
    struct race race = {.wait.kind = &kind, .task = cio__current, .peers = peers, .next = peers};
    race.local = local;
    race.report = options->report;
    race.delay_s = options->happy_eyeballs_delay != 0 ? options->happy_eyeballs_delay
                                                      : CIO_HAPPY_EYEBALLS_DELAY;
    race.due = true;
    int rc = begin_due(&race);
    while (rc < 0 && race.n_under_way > 0) {
        race.wait.canceled = false;
        rc = cio__wait(&race.wait);
        if (rc < 0)
            break;
        rc = look_at_answers(&race);
        if (rc < 0)
            rc = begin_due(&race);
    }
    end_all(&race);
    return rc >= 0 || rc == CIO_ECANCELED ? rc : race.error ? race.error : -EADDRNOTAVAIL;
}
