/*
 * buses_make: writes an XML file about buses, like those of a transport authority, to stdout, and
 * what `buses` must find in it to the file that is named.
 *
 *     buses_make BUSES ANSWER
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 22;

static unsigned any(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

static void write_bus(int id, FILE *answer)
{
    static const char *const directions[] = {"North Bound", "South Bound", "East Bound",
                                             "West Bound"};
    const char *direction = directions[any(4)];
    unsigned route = 20 + any(5), north = any(100000000), west = any(100000000);
    char latitude[32], longitude[32];
    snprintf(latitude, sizeof latitude, "41.%08u", north);
    snprintf(longitude, sizeof longitude, "-87.%08u", west);
    printf("  <bus>\r\n    <id>%d</id>\r\n    <route>%u</route>\r\n    <color>#3300ff</color>\r\n"
           "    <revenue>true</revenue>\r\n    <direction>%s</direction>\r\n"
           "    <latitude>%s</latitude>\r\n    <longitude>%s</longitude>\r\n"
           "    <finalStop><![CDATA[Clark &amp; Harbour <%u>]]></finalStop>\r\n  </bus>\r\n",
           id, route, direction, latitude, longitude, any(100));
    if (route == 22 && strcmp(direction, "North Bound") == 0)
        fprintf(answer, "22,%d,\"%s\",%s,%s\n", id, direction, latitude, longitude);
}

int main(int argc, char **argv)
{
    int n = argc == 3 ? atoi(argv[1]) : 0;
    FILE *answer = n > 0 ? fopen(argv[2], "we") : NULL;
    if (!answer) {
        fprintf(stderr, "usage: buses_make BUSES ANSWER\n");
        return 2;
    }
    printf("<?xml version=\"1.0\"?>\r\n<buses rt=\"all\">\r\n");
    for (int i = 0; i < n; i++)
        write_bus(1000 + i, answer);
    printf("</buses>\r\n");
    return fclose(answer) != 0;
}
