/*
 * The methods that are `async def` in asyncio: to inspect and to mock they are coroutine functions,
 * with the signature that they have there; a call is that of the C method.
 */
#ifndef PY_ASYNC_METHOD_H
#define PY_ASYNC_METHOD_H

#include "module.h"

extern PyType_Spec py__async_method_spec;

/*
 * Makes coroutine functions of those of the type's methods that are such in asyncio's class. The
 * name is the one that programs know the type by; it is kept.
 */
int py__make_async(const struct py__module *py, PyTypeObject *type, const char *class_name,
                   const PyMethodDef *methods, PyObject *asyncio_class);

#endif
