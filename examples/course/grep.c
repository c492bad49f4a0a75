/*
 * grep: a coroutine that consumes. It stands in a yield and is sent lines. It must be primed, by
 * one cio_generator_next(), so that it stands there; when it is closed the yield says so.
 */
#include <stdio.h>
#include <string.h>

#include <cio.h>

static int grep(cio_generator *g, void *pattern)
{
    printf("Looking for %s\n", (char *)pattern);
    void *line;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &line)) >= 0)
        if (strstr(line, pattern))
            puts(line);
    puts("Going away. Goodbye");
    return rc;
}

int main(void)
{
    static char *lines[] = {"Yeah, but no, but yeah, but no", "A series of tubes",
                            "python generators rock!"};
    cio_generator *g = cio_generator_new(grep, "python");
    int rc = cio_generator_next(g, NULL);
    for (int i = 0; i < 3 && rc > 0; i++)
        rc = cio_generator_send(g, lines[i], NULL);
    cio_generator_free(g); /* closes it */
    return rc < 0;
}
