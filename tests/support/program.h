/*
 * Programs that tests run: the examples, and clients that the system has. What they say is kept,
 * and read as it comes. Every function asserts that it succeeded.
 */
#ifndef CIO_TESTS_PROGRAM_H
#define CIO_TESTS_PROGRAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

enum { PROGRAM_ARGUMENTS_MOST = 20 };

struct program {
    pid_t pid;
    int out, err; /* where its output can be read */
    int exit_code;
    bool is_example;
    char out_text[16384], err_text[16384];
};

#define ARGUMENTS(...) ((const char *const[PROGRAM_ARGUMENTS_MOST + 1]){__VA_ARGS__})

/*
 * Starts an example by its name. The test ends as skipped if there are none, or none for this
 * machine.
 */
void program_start(struct program *p, const char *name, const char *const *arguments);

/* The same; its errors go to a descriptor of the caller's. */
void program_start_with(struct program *p, int err, const char *name, const char *const *arguments);

/* Starts a program of the system's. The test ends as skipped when it ends, if there is none. */
void program_start_client(struct program *p, const char *name, const char *const *arguments);

/* Reads its output until `until` is in it; NULL: up to the end. */
void program_read(struct program *p, const char *until);

/* Reads all that it says, and waits for its end. */
void program_finish(struct program *p);

/* Starts and finishes. */
void program_run(struct program *p, const char *name, const char *const *arguments);
void program_run_client(struct program *p, const char *name, const char *const *arguments);

/* The address that a server told: "listening on port N" is the first that it says. */
struct sockaddr_in program_address(struct program *p);

/* Fails, and shows the text, if the part is not in it, or is. */
void program_assert_contains(const char *text, const char *part);
void program_assert_lacks(const char *text, const char *part);

/* Bad arguments: exit code 2, the program's name on stderr, and nothing on stdout. */
void program_assert_refused(const char *name, const char *const *arguments);

#endif
