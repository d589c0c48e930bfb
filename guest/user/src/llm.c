#include "sis/llm.h"

/* One second at a time. */
enum { WAIT_NS = 1000000000 };

long sis_llm_ask(uintptr_t handle, struct sis_llm_request* request, void (*take)(const char* text, size_t bytes)) {
  const long id = sis_llm_submit(handle, request);
  if (id < 0) {
    return id;
  }
  char text[512];
  struct sis_llm_answer answer = {.text = text, .wait_ns = WAIT_NS, .text_room = sizeof(text)};
  while (!answer.last) {
    const long polled = sis_llm_poll(handle, id, &answer);
    if (polled < 0) {
      return polled;
    }
    if (answer.text_bytes != 0) {
      take(text, answer.text_bytes);
    }
  }
  return (long)answer.reason;
}
