/* stdout and stderr: one console, written by lines. */
#include <stdio.h>
#include <unistd.h>

static char line[256];
static size_t used;

static int flush_line(FILE* file) {
  (void)file;
  size_t done = 0;
  while (done < used) {
    const ssize_t written = write(STDOUT_FILENO, line + done, used - done);
    if (written <= 0) {
      used = 0;
      return EOF;
    }
    done += (size_t)written;
  }
  used = 0;
  return 0;
}

static int put(char c, FILE* file) {
  line[used++] = c;
  return c == '\n' || used == sizeof(line) ? flush_line(file) : 0;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, flush_line, _FDEV_SETUP_WRITE);
FILE* const stdout = &console;
FILE* const stderr = &console;

/* exit() does not flush the C library's streams by itself. */
__attribute__((destructor)) static void flush_at_exit(void) { flush_line(&console); }
