/*
 * Transports: what those of sockets, pipes and datagrams have in common. The object embeds this as
 * its beginning, derives from asyncio's _FlowControlMixin, and says in a struct py__transport_kind
 * what to do when its descriptor is ready.
 *
 * A watch that is on holds a reference to its transport, as asyncio's selector does: so a
 * connection that is being read lives on by itself, and a paused one that everybody has forgotten
 * is collected.
 */
#ifndef PY_TRANSPORT_H
#define PY_TRANSPORT_H

#include "loop.h"
#include "write_queue.h"

/* As large as asyncio's _FlowControlMixin of any supported Python; checked at import. */
#define PY__TRANSPORT_BASE 64

/*
 * Since 3.15 all calls of a connection are made in one context, a copy of that in which it was made,
 * or, if it was accepted, of its server's: what one of them sets, the next one sees.
 */
#define PY__CONTEXT_OF_CONNECTION (PY_VERSION_HEX >= 0x030F0000)

struct py__transport;

struct py__transport_kind {
    /* Called in the watch's context. They report what goes wrong; no exception is set after. */
    void (*readable)(struct py__transport *self);
    void (*writable)(struct py__transport *self);
    /* The descriptor's object, as `sock` or `pipe` shows it, made if need be; borrowed. */
    PyObject *(*object)(struct py__transport *self);
    /* An entry of get_extra_info() that is made when asked for; NULL, and no exception: none. */
    PyObject *(*info)(struct py__transport *self, PyObject *name);
    /* All the names that info() knows; ends with NULL. */
    const char *const *infos;
    /* In place of py__transport_set_protocol(). May be NULL. */
    int (*set_protocol)(struct py__transport *self, PyObject *protocol);
    /* After connection_lost(). May be NULL. */
    void (*lost)(struct py__transport *self);
    bool levels;    /* both directions are always watched by levels; two transports may share fd */
    bool hears_end; /* readiness to read says that the reader has gone: until all is written */
    bool tells_errors; /* OSErrors but EIO go to the exception handler too */
};

struct py__transport_watch {
    cio_handle call;
    PyObject *context;
    bool on;    /* and holds a reference to the transport */
    bool armed; /* waits for the descriptor, or is queued */
    bool level; /* and as a watch, whose place another may have taken */
};

struct py__transport {
    union {
        PyObject object;
        char base[PY__TRANSPORT_BASE];
    };
    PyObject *attributes; /* __dict__ */
    PyObject *weak_references;
    const struct py__transport_kind *kind;
    struct py__loop *loop;   /* NULL after connection_lost() */
    PyObject *protocol;      /* the same */
    struct py__layer *layer; /* the protocol, if it is one of ours; borrowed */
    PyObject *context;       /* of all its calls; NULL: a copy of the current one for each */
    PyObject *sock;          /* NULL: not made yet, or closed */
    PyObject *server;        /* which is to be told of the end, or NULL */
    cio_ring clients;        /* its place among the server's */
    PyObject *extra;         /* a dict, or NULL: empty yet */
    PyObject *waiter;        /* a future to be set when connection_made() was called, or NULL */

    struct py__transport *partner; /* another one of the same descriptor, or NULL */
    struct cio__file *file;        /* NULL: the loop is closed, or the descriptor */
    uint32_t generation;
    int fd;
    struct py__transport_watch watches[2]; /* indexed by enum cio__direction */

    struct py__write_queue queue;
    Py_ssize_t high, low;
    unsigned conn_lost; /* 1 when connection_lost() is scheduled; then counts vain writes */
    bool is_known;      /* set before init: the loop watches the descriptor's edges already */
    bool level;         /* reading: the kernel tells of readiness as long as it lasts */
    bool starting;      /* connection_made() is scheduled; holds a reference */
    bool closing;
    bool paused; /* pause_reading() */
    bool protocol_connected;
    bool protocol_paused;
    bool closed; /* the descriptor is */
};

/*
 * A protocol in C: in place of the protocol's methods, its functions are called, and what was read
 * goes there without becoming an object. TLS stands between a socket and the program's protocol as
 * such a one, and writes with py__stream_write(). To Python it is a protocol like any other, and
 * begins with this struct; its type is a subtype of py->layer_type.
 */
struct py__layer_ops {
    /*
     * connection_made() is called as a method. All return 0, or -1 with an exception, which ends the
     * connection as a protocol's would.
     */
    /* The bytes are valid, and may be overwritten, during the call. */
    int (*data_received)(struct py__layer *layer, char *data, size_t size);
    /* 1: the connection is kept open. */
    int (*eof_received)(struct py__layer *layer);
    /* exception: borrowed, or Py_None. */
    int (*connection_lost)(struct py__layer *layer, PyObject *exception);
    int (*pause_writing)(struct py__layer *layer);
    int (*resume_writing)(struct py__layer *layer);
};

struct py__layer {
    PyObject_HEAD const struct py__layer_ops *ops;
};

static inline struct py__transport *py__transport(PyObject *self)
{
    return (struct py__transport *)self;
}

/* ---- life ---- */

/*
 * Of a new, zeroed object: takes fd over. sock, extra and server may be NULL; all are borrowed.
 * When this fails, fd is still the caller's.
 */
int py__transport_init(struct py__transport *self, struct py__loop *loop,
                       const struct py__transport_kind *kind, int fd, PyObject *sock,
                       PyObject *extra, PyObject *server);

/*
 * Schedules connection_made(), and after that, in the same turn, the beginning of reading (if
 * reads) and the waiter's result.
 */
int py__transport_start(struct py__transport *self, PyObject *waiter, bool reads);

void py__transport_set_protocol(struct py__transport *self, PyObject *protocol);

/* Of the type. */
int py__transport_traverse(struct py__transport *self, visitproc visit, void *arg);
void py__transport_clear(struct py__transport *self);
void py__transport_finalize(PyObject *self);
void py__transport_dealloc(PyObject *self);

/* Of one that is not started: lets go of the descriptor, which is the caller's again. */
void py__transport_abandon(struct py__transport *self);

/* -1 and RuntimeError if another transport has fd. object: what the message shows. */
int py__transport_check_free(struct py__loop *loop, int fd, PyObject *object);

/*
 * The loop's transports: borrowed, or NULL; for its traversal; and for its end: list is given those
 * to whom it has references, once for each, which the caller is to give up.
 */
struct py__transport *py__transport_of(struct py__loop *loop, int fd);
int py__transports_visit(struct py__loop *loop, visitproc visit, void *arg);
void py__transports_forget(struct py__loop *loop, PyObject *list);

/* ---- watching ---- */

/*
 * Nothing if it is on already. -1: the kernel refuses. context: NULL is the transport's own, or, if
 * it has none, a copy of the current one.
 */
int py__transport_watch(struct py__transport *self, enum cio__direction direction,
                        PyObject *context);
void py__transport_unwatch(struct py__transport *self, enum cio__direction direction);

/* As the methods; -1 with an exception. */
int py__transport_pause_reading(struct py__transport *self);
int py__transport_resume_reading(struct py__transport *self);

/*
 * How reading is watched. At first by levels, as asyncio does it: the kernel tells of readiness as
 * long as it lasts. By edges where a short read says that there is no more for now: then a wait for
 * writing costs no system call.
 */
int py__transport_use_levels(struct py__transport *self, bool levels);

/* What the descriptor's calls have said. */
static inline void py__transport_would_block(struct py__transport *self,
                                             enum cio__direction direction)
{
    if (self->file)
        cio__file_would_block(self->file, direction);
}

/* A descriptor outlives its loop, whose backend is closed then: the kernel is asked as that did. */
static inline struct cio__os *py__transport_os(const struct py__transport *self)
{
    return likely(self->file != NULL) ? self->loop->loop->os : NULL;
}

static inline const struct cio__os_ops *py__os_ops(const struct cio__os *os)
{
    return likely(os != NULL) ? os->ops : &cio__epoll_backend;
}

static inline void py__transport_poll_next(const struct py__transport *self)
{
    if (likely(self->file != NULL))
        py__loop_poll_next(self->loop);
}

static inline bool py__transport_is_reading(const struct py__transport *self)
{
    return !self->closing && !self->paused;
}

/* ---- the end ---- */

int py__transport_close(struct py__transport *self);

/* A write on a connection that is lost: the first ones are quiet, then each is a line of log. */
int py__transport_count_vain_write(struct py__transport *self);

/* Drops what is not written. exception: borrowed, or NULL. */
int py__transport_force_close(struct py__transport *self, PyObject *exception);

/*
 * The exception that is set ends the connection: OSErrors go to connection_lost(), others to the
 * exception handler too; SystemExit and KeyboardInterrupt leave the loop instead. None is set
 * afterwards.
 */
void py__transport_fail(struct py__transport *self, const char *message);

/* Calls connection_lost() now, and closes the descriptor. exception: borrowed, or Py_None. */
int py__transport_lose(struct py__transport *self, PyObject *exception);

/* The same, when all is written; what goes wrong is reported. */
void py__transport_finish(struct py__transport *self);

/* As if callback(argument) had been called by a handle: reports the exception that is set. */
void py__report_call(struct py__loop *loop, PyObject *callback, PyObject *argument);

/* In debug mode: logger.debug(format, self). */
int py__transport_log(struct py__transport *self, const char *format);

/* ---- water marks ---- */

/* Queues all but its first `skip` bytes until the descriptor takes them. Takes the reference. */
int py__transport_queue(struct py__transport *self, PyObject *bytes, size_t skip);

void py__transport_set_limits(struct py__transport *self);
void py__transport_wrote(struct py__transport *self);   /* the queue has grown */
void py__transport_drained(struct py__transport *self); /* or shrunk */

/* ---- what Python sees of all transports ---- */

extern PyMethodDef py__transport_methods[];
extern PyMethodDef py__transport_read_methods[];
extern PyMethodDef py__transport_write_methods[];

#define PY__TRANSPORT_MEMBERS                                                                      \
    {"__dictoffset__", T_PYSSIZET, offsetof(struct py__transport, attributes), READONLY, NULL},    \
    {                                                                                              \
        "__weaklistoffset__", T_PYSSIZET, offsetof(struct py__transport, weak_references),         \
            READONLY, NULL                                                                         \
    }

/* The slots and flags that the types have in common; members are those of PY__TRANSPORT_MEMBERS. */
#define PY__TRANSPORT_SLOTS                                                                        \
    {Py_tp_dealloc, py__transport_dealloc}, {Py_tp_finalize, py__transport_finalize},              \
        {Py_tp_traverse, traverse}, {Py_tp_clear, clear}, {Py_tp_members, members},                \
    {                                                                                              \
        Py_tp_getset, fields                                                                       \
    }

#define PY__TRANSPORT_FLAGS                                                                        \
    (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION)

extern PyGetSetDef py__transport_fields[];
extern PyGetSetDef py__pipe_fields[]; /* of pipes' in place of these */
PyObject *py__transport_repr(PyObject *self);

#endif
