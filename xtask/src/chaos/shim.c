/*
 * What the nodes of `cargo xtask chaos` are started with, by LD_PRELOAD: their wall clock can be
 * moved, their disk made slow, and full. Each is a number in a file that is named in
 * BULKHEAD_SHIM and shared with the runner; as long as all are 0, nothing is different.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* In the order of `Knob`. */
struct knobs {
  volatile int64_t clock_s;
  volatile int64_t sync_ms;
  volatile int64_t data_full;
  volatile int64_t audit_full;
};

static struct knobs nothing;
static struct knobs *knobs = &nothing;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("BULKHEAD_SHIM");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *shared = mmap(NULL, sizeof(struct knobs), PROT_READ, MAP_SHARED, file, 0);
  if (shared != MAP_FAILED) knobs = shared;
  close(file);
}

#define NEXT(name) \
  static __typeof__(name) *next; \
  if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Whether there is no room for what this file would be given. */
static int is_full(int file) {
  char link[32], path[4096];
  if (!knobs->data_full && !knobs->audit_full) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  int full = (knobs->data_full && strstr(path, "/data/")) || (knobs->audit_full && strstr(path, "/audit.log"));
  if (full) errno = ENOSPC;
  return full;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  NEXT(clock_gettime);
  int done = next(clock, now);
  if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += knobs->clock_s;
  return done;
}

time_t time(time_t *told) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (told) *told = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *told, void *zone) {
  (void)zone;
  struct timespec now;
  int done = clock_gettime(CLOCK_REALTIME, &now);
  told->tv_sec = now.tv_sec;
  told->tv_usec = now.tv_nsec / 1000;
  return done;
}

static void drag(void) {
  int64_t ms = knobs->sync_ms;
  struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
  if (ms > 0) nanosleep(&rest, NULL);
}

int fsync(int file) {
  NEXT(fsync);
  drag();
  return next(file);
}

int fdatasync(int file) {
  NEXT(fdatasync);
  drag();
  return next(file);
}

ssize_t write(int file, const void *bytes, size_t length) {
  NEXT(write);
  return is_full(file) ? -1 : next(file, bytes, length);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  NEXT(writev);
  return is_full(file) ? -1 : next(file, parts, count);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
  NEXT(pwrite);
  return is_full(file) ? -1 : next(file, bytes, length, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
  NEXT(pwrite64);
  return is_full(file) ? -1 : next(file, bytes, length, at);
}
