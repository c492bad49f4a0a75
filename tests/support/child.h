/* Runs a function in a child process, for what must kill a process or touch its signals. */
#ifndef CIO_TESTS_CHILD_H
#define CIO_TESTS_CHILD_H

#include <sys/types.h>

struct child {
    int status;       /* as waitpid() says */
    char text[16384]; /* what it wrote to stderr */
};

/*
 * Forks, runs fn(arg) and exits with what it returns (0..255), without exit handlers. It is killed
 * by SIGALRM if it does not end. When it calls child_ready(), watch(pid) is called, in
 * the parent; watch may be NULL.
 */
void run_child(struct child *child, int (*fn)(void *arg), void *arg, void (*watch)(pid_t pid));

/* In the child: tells the parent's watch to go. */
void child_ready(void);

/* True if it died of this signal, or, where a sanitizer catches those, failed after a report. */
_Bool child_died_of(const struct child *child, int signal);

#endif
