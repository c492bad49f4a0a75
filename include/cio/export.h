/* How a public function is declared: visible in the shared library, callable from C++. */
#ifndef CIO_EXPORT_H
#define CIO_EXPORT_H

#define CIO_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define CIO_BEGIN extern "C" {
#define CIO_END }
#else
#define CIO_BEGIN
#define CIO_END
#endif

#endif
