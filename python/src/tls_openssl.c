/* Finding the OpenSSL of the module _ssl, and its connections within Python's objects. */
#include "tls_openssl.h"

#include <dlfcn.h>

/* The words of the objects after their header. */
enum { SOCKET, SSL_POINTER, CONTEXT, N_WORDS };

static void *find(void *library, const char *name, bool *all)
{
    void *function = dlsym(library, name);
    *all &= function != NULL;
    return function;
}

/* A pointer to a function is none to an object, but for those that dlsym() returns. */
#define FIND(field, name) *(void **)&self->field = find(library, name, &all)

static bool find_all(struct py__openssl *self, void *library)
{
    bool all = true;
    FIND(read, "SSL_read_ex");
    FIND(write, "SSL_write_ex");
    FIND(get_error, "SSL_get_error");
    FIND(get_shutdown, "SSL_get_shutdown");
    FIND(pending, "SSL_pending");
    FIND(has_pending, "SSL_has_pending");
    FIND(want, "SSL_want");
    FIND(get_context, "SSL_get_SSL_CTX");
    FIND(get_rbio, "SSL_get_rbio");
    FIND(get_wbio, "SSL_get_wbio");
    FIND(set_bio, "SSL_set_bio");
    FIND(clear_error, "ERR_clear_error");
    FIND(bio.get_new_index, "BIO_get_new_index");
    FIND(bio.meth_new, "BIO_meth_new");
    FIND(bio.meth_set_read, "BIO_meth_set_read");
    FIND(bio.meth_set_write, "BIO_meth_set_write");
    FIND(bio.meth_set_ctrl, "BIO_meth_set_ctrl");
    FIND(bio.make, "BIO_new");
    FIND(bio.free, "BIO_free");
    FIND(bio.set_data, "BIO_set_data");
    FIND(bio.get_data, "BIO_get_data");
    FIND(bio.set_init, "BIO_set_init");
    FIND(bio.set_flags, "BIO_set_flags");
    FIND(bio.clear_flags, "BIO_clear_flags");
    FIND(bio.read, "BIO_read");
    return all;
}

/*
 * Looked up by the library's own handle, a name is found in it and in what it is linked with, and
 * nowhere else: another OpenSSL in the process is not taken for it. The handle is never closed, as
 * Python closes no extension.
 */
void py__openssl_find(struct py__openssl *self)
{
    PyObject *module = PyImport_ImportModule("_ssl");
    PyObject *file = module ? PyObject_GetAttrString(module, "__file__") : NULL;
    Py_XDECREF(module);
    if (!file) { /* it is part of the interpreter, or there is none */
        PyErr_Clear();
        return;
    }
    const char *path = PyUnicode_Check(file) ? PyUnicode_AsUTF8(file) : NULL;
    void *library = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD) : NULL;
    PyErr_Clear();
    self->usable = library && find_all(self, library);
    Py_DECREF(file);
}

/*
 * A connection of memory has no socket, then comes its SSL, then its context, of which the first
 * word is the SSL_CTX: four words of two objects that must fit.
 */
void *py__openssl_look_into(const struct py__openssl *self, PyObject *object, PyObject *context)
{
    size_t size = sizeof(PyObject) + N_WORDS * sizeof(void *);
    if (!self->usable || (size_t)Py_TYPE(object)->tp_basicsize < size ||
        (size_t)Py_TYPE(context)->tp_basicsize < sizeof(PyObject) + sizeof(void *))
        return NULL;
    void *const *words = (void *const *)(object + 1);
    void *const *its_context = (void *const *)(context + 1);
    if (words[SOCKET] || !words[SSL_POINTER] || words[CONTEXT] != (void *)context ||
        self->get_context(words[SSL_POINTER]) != *its_context)
        return NULL;
    void *ssl = words[SSL_POINTER];
    return self->get_rbio(ssl) && self->get_wbio(ssl) ? ssl : NULL;
}
