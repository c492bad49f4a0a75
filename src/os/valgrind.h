/* Whether valgrind runs us: it complains of system calls that it does not know. */
#ifndef CIO_OS_VALGRIND_H
#define CIO_OS_VALGRIND_H

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#endif
