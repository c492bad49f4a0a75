/*
 * follow: tail -f as a generator, and grep behind it. Values are pulled: the loop at the end asks
 * grep, grep asks follow, and follow sleeps until the file has grown. The sleep is the task's, so
 * the program could do other things meanwhile; ^C ends it.
 *
 *     follow FILE [WORD]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cio.h>

static int follow(cio_generator *g, void *file)
{
    char line[4096];
    size_t used = 0;
    int rc = 0;
    while (rc >= 0) {
        if (!fgets(line + used, (int)(sizeof line - used), file)) {
            clearerr(file);
            rc = cio_sleep(0.1);
            continue;
        }
        used = strlen(line);
        if (line[used - 1] != '\n' && used + 1 < sizeof line)
            continue; /* the rest of the line comes later */
        used = 0;
        rc = cio_generator_yield(g, line, NULL);
    }
    return rc;
}

struct filter {
    const char *word;
    cio_generator *lines;
};

static int grep(cio_generator *g, void *arg)
{
    const struct filter *filter = arg;
    void *line;
    int rc;
    while ((rc = cio_generator_next(filter->lines, &line)) > 0) {
        if (!strstr(line, filter->word))
            continue;
        rc = cio_generator_yield(g, line, NULL);
        if (rc < 0)
            break;
    }
    return rc;
}

struct arguments {
    FILE *file;
    const char *word;
};

static int print_lines(void *arg)
{
    const struct arguments *arguments = arg;
    struct filter filter = {arguments->word, cio_generator_new(follow, arguments->file)};
    cio_generator *found = cio_generator_new(grep, &filter);
    void *line;
    int rc;
    while ((rc = cio_generator_next(found, &line)) > 0)
        fputs(line, stdout);
    cio_generator_free(found);
    cio_generator_free(filter.lines);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: follow FILE [WORD]\n");
        return 2;
    }
    struct arguments arguments = {fopen(argv[1], "re"), argc == 3 ? argv[2] : ""};
    if (!arguments.file) {
        perror(argv[1]);
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    fseek(arguments.file, 0, SEEK_END);
    printf("Following %s\n", argv[1]);
    int rc = cio_run(print_lines, &arguments);
    fclose(arguments.file);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "follow: %s\n", cio_strerror(rc));
    return rc == -EINTR ? 130 : rc < 0;
}
