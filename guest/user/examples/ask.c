/* Asks the model of its handle what its arguments say, and prints the answer as it comes. */
#include <stdio.h>
#include <string.h>

#include "sis/llm.h"

static void print(const char* text, size_t bytes) { fwrite(text, 1, bytes, stdout); }

int main(int argc, char** argv) {
  const char* prompt = argc > 1 ? argv[1] : "Once upon a time";
  struct sis_llm_request request = {.prompt = prompt, .prompt_bytes = (uint32_t)strlen(prompt)};
  const long ended = sis_llm_ask(SIS_LLM, &request, print);
  if (ended < 0) {
    printf("not answered: error %ld\n", -ended);
    return 1;
  }
  printf("\nended: %ld\n", ended);
  return 0;
}
