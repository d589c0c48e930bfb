/* Requests to models, by a handle that the scenario gave the task: tasks[].program.llm. docs/user-tasks.md, Models.
 *
 * All functions answer with 0 or more, or with the negative of one of the kernel's errors, SIS_E... of this file or of
 * <sis/syscalls.h>. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sis/syscalls.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SIS_SYS_LLM_SUBMIT = 4096, SIS_SYS_LLM_POLL = 4097, SIS_SYS_LLM_CANCEL = 4098 };

/* The handle of tasks[].program.llm. */
enum { SIS_LLM = 0 };

enum {
  SIS_ENOENT = 2,  /* the task has no such request, or it was forgotten */
  SIS_EAGAIN = 11, /* so many wait as may, of all or of this task */
  SIS_ENOMEM = 12,
  SIS_EACCES = 13,   /* the handle has not this right */
  SIS_ENODEV = 19,   /* the handle's model is not loaded, or there is no service */
  SIS_EMSGSIZE = 90, /* the prompt is too long */
  SIS_EDQUOT = 122,  /* more tokens than the handle may ask for, or than the budget has: fits_at_ns says when it will */
  SIS_ENOCAPABILITY = 134 /* the task has no such handle */
};

struct sis_llm_request {
  const char* prompt;
  uint64_t deadline_ns; /* after the submission; 0: none */
  uint64_t seed;
  uint64_t fits_at_ns; /* written with an error: when it would fit; 0: nobody knows, or never */
  uint32_t prompt_bytes;
  uint32_t max_tokens;        /* at most the handle's; 0: those */
  uint32_t temperature_milli; /* thousandths; 0: always the likeliest token */
  uint32_t reserved;          /* 0 */
};

enum { SIS_LLM_QUEUED = 0, SIS_LLM_RUNNING = 1, SIS_LLM_FINISHED = 2 };
enum {
  SIS_LLM_END = 1,
  SIS_LLM_LENGTH = 2,
  SIS_LLM_STOP_WORD = 3,
  SIS_LLM_BUDGET = 4,
  SIS_LLM_DEADLINE = 5,
  SIS_LLM_CANCELLED = 6,
  SIS_LLM_FAILED = 7
};
/* The smallest room for text, if there is any. */
enum { SIS_LLM_MIN_TEXT = 48 };

struct sis_llm_answer {
  char* text;
  uint64_t wait_ns;   /* wait so long for more text; 0: not at all */
  uint32_t text_room; /* bytes at `text`: 0, or SIS_LLM_MIN_TEXT and more */
  uint32_t reserved;  /* 0 */
  uint64_t from;      /* 0 at first, then as it was written: what came is not told again */
  /* Written: */
  uint32_t text_bytes; /* at most 512 at a time; no NUL behind them */
  uint32_t state;
  uint32_t reason; /* of one that has finished */
  uint32_t tokens; /* that came out so far */
  uint32_t last;   /* 1: there is no more. The request is forgotten */
  uint32_t reserved_too;
  uint64_t submitted_ns; /* times since the machine started; 0: not yet */
  uint64_t began_ns;
  uint64_t first_token_ns;
  uint64_t ended_ns;
};
#ifndef __cplusplus
_Static_assert(sizeof(struct sis_llm_request) == 48 && sizeof(struct sis_llm_answer) == 88, "the kernel's layouts");
#endif

/* The id of the request, at least 1. */
static inline long sis_llm_submit(uintptr_t handle, struct sis_llm_request* request) {
  return sis_syscall(SIS_SYS_LLM_SUBMIT, handle, (uintptr_t)request, 0);
}
/* More of an answer, and how its request is. */
static inline long sis_llm_poll(uintptr_t handle, long id, struct sis_llm_answer* answer) {
  return sis_syscall(SIS_SYS_LLM_POLL, handle, (uintptr_t)id, (uintptr_t)answer);
}
/* It ends within a step; what came is still there. */
static inline long sis_llm_cancel(uintptr_t handle, long id) {
  return sis_syscall(SIS_SYS_LLM_CANCEL, handle, (uintptr_t)id, 0);
}

/* A whole answer: submits, and calls `take` for each piece of text as it comes. The reason why it ended. */
long sis_llm_ask(uintptr_t handle, struct sis_llm_request* request, void (*take)(const char* text, size_t bytes));

#ifdef __cplusplus
}
#endif
