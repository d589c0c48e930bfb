// What of a request takes long to look at: its prompt as text, and what its answer may be.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/llm/constraint/constraint.hpp"
#include "guest/llm/tokenizer/tokenizer.hpp"

namespace guest::llm {

struct LoadedModel;

struct PromptText {
  std::string_view prompt;
  std::string_view pattern = {};
  std::span<const std::string_view> choices = {};
  bool begins = true;  ///< nothing comes before it in a session
};

/// What has been made of it.
struct ReadPrompt {
  std::unique_ptr<Token[]> tokens;  ///< with room for one more
  std::uint32_t count = 0;
  std::unique_ptr<Constraint> constraint;  ///< null: any text
};

/// In threads, without the service's lock; `model` stays. Errors: tokenizer-..., those of Automaton,
///   llm-prompt-too-long   more tokens than the model has positions
///   llm-empty-prompt
///   llm-no-memory
std::expected<ReadPrompt, kernel::NamedError> read_prompt(const LoadedModel& model, const PromptText& text);

/// llm-prompt-too-long.
kernel::Outcome prompt_too_long(std::uint64_t tokens, std::uint64_t room, std::uint64_t context);

/// A copy, until somebody has the time to read it.
class KeptPromptText {
 public:
  /// At most Automaton::kMaxChoices choices. Null: no memory.
  static std::unique_ptr<KeptPromptText> copy(const PromptText& text);
  [[nodiscard]] const PromptText& text() const { return text_; }

 private:
  std::unique_ptr<char[]> bytes_;
  kernel::BoundedArray<std::string_view, Automaton::kMaxChoices> choices_;
  PromptText text_;
};

}  // namespace guest::llm
