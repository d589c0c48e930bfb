/* A task's handle to the LLM service, the way that its first argument says: what it gives and what not. Prints "TEST
 * llm_NAME ok" for each thing that is as it should be. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sis/llm.h"
#include "vectors.h"

static int failures = 0;

static void expect(const char* name, long found, long wanted) {
  failures += found == wanted ? 0 : 1;
  if (found == wanted) {
    printf("TEST llm_%s ok\n", name);
  } else {
    printf("TEST llm_%s FAILED: %ld, expected %ld\n", name, found, wanted);
  }
}

static struct sis_llm_request request_of(const char* prompt, uint32_t tokens) {
  return (struct sis_llm_request){.prompt = prompt, .prompt_bytes = (uint32_t)strlen(prompt), .max_tokens = tokens};
}

/* Submits with known values in all registers of FP and SIMD. How many of them are not there any more, or an error. */
static long submit_with_vectors(struct sis_llm_request* request, long* id) {
  static struct vectors in, out;
  for (unsigned i = 0; i < 64; ++i) {
    in.half[i] = 0x0101010101010101u * (i + 1);
  }
  register uintptr_t x0 __asm__("x0") = SIS_LLM;
  register uintptr_t x1 __asm__("x1") = (uintptr_t)request;
  register uintptr_t x8 __asm__("x8") = SIS_SYS_LLM_SUBMIT;
  __asm__ volatile(PAIRS("ldp", "%1") "svc #0\n" PAIRS("stp", "%2")
                   : "+r"(x0)
                   : "r"(&in), "r"(&out), "r"(x1), "r"(x8)
                   : "cc", "memory", VECTOR_CLOBBERS);
  *id = (long)x0;
  long changed = 0;
  for (unsigned i = 0; i < 64; ++i) {
    changed += in.half[i] != out.half[i];
  }
  return changed;
}

static void answer(void) {
  struct sis_llm_request request = request_of("Once", 5);
  long id = 0;
  expect("registers", submit_with_vectors(&request, &id), 0);
  expect("submitted", id > 0, 1);
  char text[64];
  struct sis_llm_answer got = {.text = text, .wait_ns = 1000000000, .text_room = sizeof(text)};
  while (!got.last && sis_llm_poll(SIS_LLM, id, &got) == 0) {
  }
  expect("finished", got.state, SIS_LLM_FINISHED);
  expect("tokens", got.tokens >= 1 && got.tokens <= 5, 1);
  expect("times", got.submitted_ns <= got.began_ns && got.began_ns <= got.ended_ns && got.ended_ns != 0, 1);
  expect("forgotten", sis_llm_poll(SIS_LLM, id, &got), -SIS_ENOENT);
  expect("cancel_of_none", sis_llm_cancel(SIS_LLM, id), -SIS_ENOENT);
}

static void cancel(void) {
  struct sis_llm_request request = request_of("Once", 0);
  const long id = sis_llm_submit(SIS_LLM, &request);
  expect("cancelled", sis_llm_cancel(SIS_LLM, id), 0);
  struct sis_llm_answer got = {.wait_ns = 1000000000};
  char text[512];
  got.text = text;
  got.text_room = sizeof(text);
  while (!got.last && sis_llm_poll(SIS_LLM, id, &got) == 0) {
  }
  expect("reason", got.reason, SIS_LLM_CANCELLED);
}

static void limits(void) {
  struct sis_llm_request request = request_of("Once", 4000000000u);
  expect("too_many_tokens", sis_llm_submit(SIS_LLM, &request), -SIS_EDQUOT);
  request = request_of("Once", 4);
  request.prompt_bytes = 1u << 30;
  expect("too_long", sis_llm_submit(SIS_LLM, &request), -SIS_EMSGSIZE);
  request.prompt_bytes = 4;
  request.prompt = (const char*)0xffff800000000000u;
  expect("prompt_of_the_kernel", sis_llm_submit(SIS_LLM, &request), -SIS_EFAULT);
  expect("request_nowhere", sis_llm_submit(SIS_LLM, (struct sis_llm_request*)8), -SIS_EFAULT);
  expect("answer_nowhere", sis_llm_poll(SIS_LLM, 1, (struct sis_llm_answer*)8), -SIS_EFAULT);
  struct sis_llm_answer got = {.text_room = 1};
  expect("little_room", sis_llm_poll(SIS_LLM, 1, &got), -SIS_EINVAL);
  expect("other_handle", sis_llm_submit(SIS_LLM + 1, &request), -SIS_ENOCAPABILITY);
}

static void without(void) {
  struct sis_llm_request request = request_of("Once", 4);
  struct sis_llm_answer got = {.wait_ns = 0};
  expect("submit_without", sis_llm_submit(SIS_LLM, &request), -SIS_ENOCAPABILITY);
  expect("poll_without", sis_llm_poll(SIS_LLM, 1, &got), -SIS_ENOCAPABILITY);
  expect("cancel_without", sis_llm_cancel(SIS_LLM, 1), -SIS_ENOCAPABILITY);
}

static void observe(void) {
  struct sis_llm_request request = request_of("Once", 4);
  expect("no_right_to_submit", sis_llm_submit(SIS_LLM, &request), -SIS_EACCES);
  expect("no_right_to_cancel", sis_llm_cancel(SIS_LLM, 1), -SIS_EACCES);
}

static void crash(void) {
  struct sis_llm_request request = request_of("Once", 0);
  expect("before_the_crash", sis_llm_submit(SIS_LLM, &request) > 0, 1);
  *(volatile int*)0 = 1;
}

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)(void);
  } ways[] = {{"answer", answer},   {"cancel", cancel},   {"limits", limits},
              {"without", without}, {"observe", observe}, {"crash", crash}};
  for (unsigned i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); ++i) {
    if (strcmp(argv[1], ways[i].name) == 0) {
      ways[i].run();
      return failures == 0 ? 0 : 1;
    }
  }
  printf("which way?\n");
  return 2;
}
