// What a GGUF file says of itself that a manifest says, too.
#pragma once

#include <cstdint>
#include <expected>

#include "guest/gguf/file.hpp"
#include "guest/kernel/named_error.hpp"

namespace guest::llm::package {

struct ModelFacts {
  std::uint64_t context = 0;     ///< ARCHITECTURE.context_length, ARCHITECTURE being general.architecture
  std::uint64_t vocabulary = 0;  ///< elements of tokenizer.ggml.tokens
  /// The type that most elements of its matrices have: of tensors with two dimensions or more, in F32, F16, Q8_0, Q4_0.
  gguf::Type quantisation = gguf::Type::F32;
};

/// Errors: those of gguf::File's values, and
///   package-bad-model    general.architecture is longer than 32 bytes, or there is no matrix
std::expected<ModelFacts, kernel::NamedError> read_facts(const gguf::File& file);

}  // namespace guest::llm::package
