/*
 * What is asked for in the environment. A value that makes no sense is told of on stderr, once for
 * each variable, and is then as if it were not there; but for a backend that there is not.
 */
#ifndef CIO_OS_ENVIRONMENT_H
#define CIO_OS_ENVIRONMENT_H

#include <stdbool.h>

/* $CIO_TURN_BUDGET in seconds, perhaps infinite; 0: not set. */
double cio__env_turn_budget(void);

/* $CIO_DEBUG. */
bool cio__env_debug(void);

/* The number of the signal in $CIO_DUMP_SIGNAL; 0: not set. */
int cio__env_dump_signal(void);

/* $CIO_BACKEND; NULL: not set. */
const char *cio__env_backend(void);
/* There is no backend of that name. */
void cio__env_no_such_backend(const char *name);

#endif
