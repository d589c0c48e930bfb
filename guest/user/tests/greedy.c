/* A client of the LLM service that takes all that it can get, for as many seconds as its first argument says: it asks
 * for answers of 1 to 8 tokens until it is refused, sleeps until it was told that it would fit, and then must be taken.
 * Prints "TEST llm_greedy ok", and what it got. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sis/llm.h"

/* Of its requests. Fewer than one owner may have, so that only the budget refuses it. */
enum { kOpen = 6, kMaxTokens = 8 };

static struct open {
  long id; /* 0: none */
  uint64_t from;
} requests[kOpen];

static struct {
  unsigned taken, refused, ended, cut;
  unsigned long tokens;
} counts;
static int failures = 0;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t ns) {
  for (uint64_t now = now_ns(); now < ns; now = now_ns()) {
    const struct timespec left = {.tv_sec = (time_t)((ns - now) / 1000000000u),
                                  .tv_nsec = (long)((ns - now) % 1000000000u)};
    nanosleep(&left, NULL);
  }
}

static void fail(const char* what, long found) {
  printf("TEST llm_greedy FAILED: %s: %ld\n", what, found);
  ++failures;
}

/* Reads what has come of a request, waiting so long for more. It is none any more when that was all. */
static void read_one(struct open* request, uint64_t wait_ns) {
  char text[512];
  struct sis_llm_answer got = {.text = text, .wait_ns = wait_ns, .text_room = sizeof(text), .from = request->from};
  const long polled = sis_llm_poll(SIS_LLM, request->id, &got);
  if (polled < 0) {
    fail("a request is not there", polled);
    request->id = 0;
    return;
  }
  request->from = got.from;
  if (got.last) {
    ++counts.ended;
    counts.tokens += got.tokens;
    counts.cut += got.reason == SIS_LLM_BUDGET ? 1 : 0;
    if (got.reason != SIS_LLM_LENGTH && got.reason != SIS_LLM_BUDGET) {
      fail("a request has another end", got.reason);
    }
    request->id = 0;
  }
}

/* A place for a request, when there is one. */
static struct open* take_place(void) {
  for (;;) {
    for (unsigned i = 0; i < kOpen; ++i) {
      if (requests[i].id != 0) {
        read_one(&requests[i], 0);
      }
      if (requests[i].id == 0) {
        return &requests[i];
      }
    }
    read_one(&requests[0], 1000000);
  }
}

/* Asks for `tokens`; when refused, once more when it would fit. */
static void ask(struct open* place, uint32_t tokens) {
  struct sis_llm_request request = {.prompt = "more", .prompt_bytes = 4, .max_tokens = tokens};
  long id = sis_llm_submit(SIS_LLM, &request);
  if (id == -SIS_EDQUOT && request.fits_at_ns > now_ns()) {
    ++counts.refused;
    sleep_until(request.fits_at_ns);
    id = sis_llm_submit(SIS_LLM, &request);
  }
  if (id < 0) {
    fail("not taken when it should fit", id);
    return;
  }
  ++counts.taken;
  *place = (struct open){.id = id, .from = 0};
}

int main(int argc, char** argv) {
  const uint64_t seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
  if (seconds == 0) {
    printf("how many seconds?\n");
    return 2;
  }
  const uint64_t end = now_ns() + seconds * 1000000000u;
  uint32_t random = 1;
  while (now_ns() < end && failures == 0) {
    random = random * 1664525u + 1013904223u;
    ask(take_place(), 1 + (random >> 24) % kMaxTokens);
  }
  for (unsigned i = 0; i < kOpen; ++i) {
    while (requests[i].id != 0) {
      read_one(&requests[i], 1000000);
    }
  }
  printf("greedy: taken=%u refused=%u ended=%u cut=%u tokens=%lu\n", counts.taken, counts.refused, counts.ended,
         counts.cut, counts.tokens);
  if (failures == 0) {
    printf("TEST llm_greedy ok\n");
  }
  return failures == 0 ? 0 : 1;
}
