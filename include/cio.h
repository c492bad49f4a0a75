/*
 * cio: asyncio, in C. This header is the whole public API; each subject has a header of its own,
 * named as asyncio names its chapters.
 */
#ifndef CIO_H
#define CIO_H

#include <cio/broadcast.h>
#include <cio/context.h>
#include <cio/counters.h>
#include <cio/datagram.h>
#include <cio/debug.h>
#include <cio/error.h>
#include <cio/future.h>
#include <cio/generator.h>
#include <cio/group.h>
#include <cio/loop.h>
#include <cio/memory.h>
#include <cio/names.h>
#include <cio/queue.h>
#include <cio/relay.h>
#include <cio/runner.h>
#include <cio/sendfile.h>
#include <cio/server.h>
#include <cio/signal.h>
#include <cio/socket.h>
#include <cio/stream.h>
#include <cio/sync.h>
#include <cio/task.h>
#include <cio/thread.h>
#include <cio/timeout.h>
#include <cio/tls.h>
#include <cio/transport.h>
#include <cio/version.h>
#include <cio/wait.h>
#include <cio/waiters.h>

#endif
