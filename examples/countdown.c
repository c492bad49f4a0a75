/* countdown: two rockets, one thread. Each counts as if it were alone. */
#include <stdio.h>

#include <cio.h>

struct rocket {
    const char *name;
    int from;
};

static int countdown(void *arg)
{
    struct rocket *rocket = arg;
    for (int n = rocket->from; n > 0; n--) {
        printf("T-minus %d (%s)\n", n, rocket->name);
        int rc = cio_sleep(0.5);
        if (rc < 0)
            return rc;
    }
    printf("lift-off (%s)\n", rocket->name);
    return 0;
}

/* A group ends when its tasks have ended; if one failed, the other would be canceled. */
static int main_task(void *arg)
{
    (void)arg;
    struct rocket a = {"A", 2}, b = {"B", 3};
    cio_group rockets;
    int rc = cio_group_enter(&rockets);
    if (rc < 0)
        return rc;
    cio_group_start(&rockets, countdown, &a);
    cio_group_start(&rockets, countdown, &b);
    return cio_group_exit(&rockets, 0);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = cio_run(main_task, NULL);
    if (rc < 0)
        fprintf(stderr, "countdown: %s\n", cio_strerror(rc));
    return rc < 0;
}
