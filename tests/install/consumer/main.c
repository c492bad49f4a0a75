/* A program that knows cio only as installed. */
#include <cio.h>

static int nap(void *arg)
{
    int *naps = arg;
    int rc = cio_sleep(0.001);
    if (rc < 0)
        return rc;
    ++*naps;
    return 0;
}

int main(void)
{
    int naps = 0;
    int rc = cio_run(nap, &naps);
    return rc == 0 && naps == 1 ? 0 : 1;
}
