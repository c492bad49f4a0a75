/* What a wait says of itself. */
#include "task/tell.h"

#include <stdarg.h>
#include <stdio.h>

void cio__tell(struct cio__tale *tale, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(tale->text, sizeof tale->text, format, args);
    va_end(args);
}

void cio__tell_future(struct cio__tale *tale, const cio_future *future)
{
    if (!future)
        return;
    if (tale->n_ends < CIO__TALE_FUTURES)
        tale->ends[tale->n_ends] = future;
    tale->n_ends++;
}
