/* Dates. */
#include "date.h"

#include <stdio.h>

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void http_format_date(char *text, time_t seconds)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    const time_t last = 253402300799; /* the end of 9999 */
    struct tm tm;
    if (seconds < 0)
        seconds = 0;
    if (seconds > last)
        seconds = last;
    gmtime_r(&seconds, &tm);
    snprintf(text, HTTP_DATE_SIZE + 1, "%s, %02u %s %04u %02u:%02u:%02u GMT",
             days[(unsigned)tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
             months[(unsigned)tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/* The century that puts it no further than 50 years ahead. */
static int full_year(int two_digits)
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    int year = tm.tm_year + 1900, guess = year / 100 * 100 + two_digits;
    return guess > year + 50 ? guess - 100 : guess;
}

bool http_parse_date(struct http_text text, time_t *seconds)
{
    char copy[64], month[4] = "";
    int day, year, hour, minute, second, end = 0;
    if (text.size >= sizeof copy || memchr(text.at, 0, text.size))
        return false;
    memcpy(copy, text.at, text.size);
    copy[text.size] = 0;
    bool ok = sscanf(copy, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year,
                     &hour, &minute, &second, &end) == 6 &&
              copy[end] == 0 && end == HTTP_DATE_SIZE;
    if (!ok) {
        end = 0;
        ok = sscanf(copy, "%*[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, month, &year,
                    &hour, &minute, &second, &end) == 6 &&
             end && copy[end] == 0;
        year = ok ? full_year(year) : 0;
    }
    if (!ok) {
        end = 0;
        ok = sscanf(copy, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, &hour,
                    &minute, &second, &year, &end) == 6 &&
             end && copy[end] == 0;
    }
    int m = 0;
    while (m < 12 && strcmp(months[m], month) != 0)
        m++;
    if (!ok || m == 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60 || year < 1900)
        return false;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = m,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    *seconds = timegm(&tm);
    return true;
}
