/* Runs a fuzz target on files, and on all files of directories, where there is no libFuzzer. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static int run_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        return 1;
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    char *copy = fuzz_copy(data, size);
    LLVMFuzzerTestOneInput((const uint8_t *)copy, size);
    free(copy);
    return 0;
}

static int run_directory(const char *path)
{
    char name[1024];
    int failed = 0, n = 0;
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        failed |= run_file(name);
        n++;
    }
    closedir(directory);
    printf("%s: %d inputs\n", path, n);
    return failed || n == 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    for (int i = 1; i < argc; i++) {
        struct stat is;
        if (stat(argv[i], &is) == 0 && S_ISDIR(is.st_mode))
            failed |= run_directory(argv[i]);
        else
            failed |= run_file(argv[i]);
    }
    return failed;
}
