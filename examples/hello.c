/* hello: three tasks at once, and their results in the order in which they were asked for. */
#include <stdio.h>

#include <cio.h>

struct greeting {
    const char *name;
    double seconds;
};

static int greet(void *arg)
{
    struct greeting *g = arg;
    int rc = cio_sleep(g->seconds); /* the others run meanwhile */
    if (rc < 0)
        return rc;
    return printf("hello, %s\n", g->name);
}

static int main_task(void *arg)
{
    (void)arg;
    struct greeting greetings[] = {{"slow", 0.3}, {"fast", 0.1}, {"world", 0.2}};
    cio_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = cio_create_task(greet, &greetings[i]);
        if (!tasks[i])
            return cio_last_error();
    }

    cio_result_pair results[3];
    int rc = cio_gather_into(tasks, 3, 0, results);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 3; i++)
        printf("%s took %g s and wrote %d bytes\n", greetings[i].name, greetings[i].seconds,
               results[i].rc);
    return 0;
}

int main(void)
{
    int rc = cio_run(main_task, NULL);
    if (rc < 0)
        fprintf(stderr, "hello: %s\n", cio_strerror(rc));
    return rc < 0;
}
