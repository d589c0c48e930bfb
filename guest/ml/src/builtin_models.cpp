// The models that every kernel has. SIS_MODELS is the folder with their files.
#include <iterator>

#include "guest/ml/model.hpp"

// The assembler puts each file where it is: as source text it would be five times as long. NAME_end is one past it.
#define SIS_BUILTIN_MODEL(name)                        \
  extern "C" const std::byte sis_model_##name[];       \
  extern "C" const std::byte sis_model_##name##_end[]; \
  __asm__(".pushsection .rodata.sis_model_" #name      \
          ",\"a\"\n"                                   \
          ".balign 64\n"                               \
          ".globl sis_model_" #name                    \
          "\n"                                         \
          "sis_model_" #name                           \
          ":\n"                                        \
          ".incbin \"" SIS_MODELS "/" #name            \
          ".gguf\"\n"                                  \
          ".globl sis_model_" #name                    \
          "_end\n"                                     \
          "sis_model_" #name                           \
          "_end:\n"                                    \
          ".popsection\n")

SIS_BUILTIN_MODEL(patterns);
SIS_BUILTIN_MODEL(shapes);

namespace guest::ml {

std::span<const std::byte> builtin_model(std::string_view name) {
  if (name == "patterns") {
    return {sis_model_patterns, sis_model_patterns_end};
  }
  if (name == "shapes") {
    return {sis_model_shapes, sis_model_shapes_end};
  }
  return {};
}

}  // namespace guest::ml
