/* Asks one server over kept connections as fast as it answers, and drops bodies in the kernel.
 *
 *   drain PORT CONNECTIONS SECONDS REQUESTS < nothing, one line of JSON out
 *
 * REQUESTS is a file: a path on each line, and behind it headers, with tabs between. The lines are
 * taken in turns. wrk copies what it reads in pieces of 8 KB, so that for large bodies it is wrk
 * that is measured; MSG_TRUNC copies nothing. Answers must have a Content-Length.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 16384, MOST = 1024, SWALLOW = 1 << 24 };

struct connection {
    int fd;
    int in_body;
    size_t held;
    long long left;
    double asked_at;
    char head[HEAD + 1];
};

static char **requests;
static size_t request_count, next_request;
static struct sockaddr_in server;
static double *latencies;
static size_t done, room;
static long long bytes, errors;
static char *nowhere;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void ask(struct connection *one) {
    const char *text = requests[next_request++ % request_count];
    one->in_body = 0;
    one->held = 0;
    one->asked_at = now();
    /* A head is small: a socket that has just been answered takes it whole. */
    if (send(one->fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text)) errors++;
}

static void reach(struct connection *one, int epoll) {
    int yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (one->fd < 0 || connect(one->fd, (struct sockaddr *)&server, sizeof server)) fail("connect");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &event);
    ask(one);
}

static void finished(struct connection *one) {
    if (done == room) {
        room = room ? room * 2 : 1 << 16;
        latencies = realloc(latencies, room * sizeof *latencies);
        if (!latencies) fail("realloc");
    }
    latencies[done++] = now() - one->asked_at;
    ask(one);
}

static void head_came(struct connection *one) {
    char *end, *length;
    one->head[one->held] = 0;
    end = strstr(one->head, "\r\n\r\n");
    if (!end) {
        if (one->held == HEAD) { fprintf(stderr, "a head too long\n"); exit(1); }
        return;
    }
    *end = 0;
    if (strncmp(one->head + 9, "200", 3) && strncmp(one->head + 9, "206", 3)) {
        if (!errors++) fprintf(stderr, "%s\n", one->head);
    }
    length = strcasestr(one->head, "\r\ncontent-length:");
    if (!length) { fprintf(stderr, "no Content-Length:\n%s\n", one->head); exit(1); }
    one->left = atoll(length + 17) - (long long)(one->held - (end + 4 - one->head));
    bytes += one->held - (end + 4 - one->head);
    one->in_body = 1;
    if (one->left <= 0) finished(one);
}

static void came(struct connection *one, int epoll) {
    for (;;) {
        size_t most = one->in_body ? (one->left < SWALLOW ? (size_t)one->left : SWALLOW)
                                   : HEAD - one->held;
        char *into = one->in_body ? nowhere : one->head + one->held;
        ssize_t got = recv(one->fd, into, most, one->in_body ? MSG_TRUNC : 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            /* Cut short, which is an error, or a connection that the server ended between. */
            if (one->in_body || one->held) errors++;
            close(one->fd);
            reach(one, epoll);
            return;
        }
        if (!one->in_body) {
            one->held += got;
            head_came(one);
        } else {
            bytes += got;
            one->left -= got;
            if (one->left == 0) finished(one);
        }
    }
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL, *text, *piece, *rest;
    size_t size = 0, made;
    if (!file) fail(path);
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        text = malloc(strlen(line) * 2 + 256);
        rest = line;
        made = sprintf(text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", strsep(&rest, "\t"));
        while ((piece = strsep(&rest, "\t"))) made += sprintf(text + made, "%s\r\n", piece);
        strcpy(text + made, "\r\n");
        requests = realloc(requests, (request_count + 1) * sizeof *requests);
        requests[request_count++] = text;
    }
    fclose(file);
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **words) {
    struct epoll_event events[MOST];
    struct connection *all;
    struct rusage used;
    double began, ended, seconds;
    int epoll, connections;
    if (count != 5) { fprintf(stderr, "drain PORT CONNECTIONS SECONDS REQUESTS\n"); return 2; }
    server.sin_family = AF_INET;
    server.sin_port = htons(atoi(words[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections = atoi(words[2]);
    seconds = atof(words[3]);
    read_requests(words[4]);
    nowhere = malloc(SWALLOW);
    all = calloc(connections, sizeof *all);
    epoll = epoll_create1(0);
    began = now();
    for (int i = 0; i < connections; i++) reach(&all[i], epoll);
    while ((ended = now()) - began < seconds) {
        int ready = epoll_wait(epoll, events, MOST, 100);
        for (int i = 0; i < ready; i++) came(events[i].data.ptr, epoll);
    }
    getrusage(RUSAGE_SELF, &used);
    qsort(latencies, done, sizeof *latencies, rising);
    printf("{\"requests\": %zu, \"bytes\": %lld, \"seconds\": %.6f, \"errors\": %lld, "
           "\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"client_cpu_s\": %.4f}\n",
           done, bytes, ended - began, errors, done ? latencies[done / 2] * 1e3 : 0.0,
           done ? latencies[done * 99 / 100] * 1e3 : 0.0,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec +
               (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
