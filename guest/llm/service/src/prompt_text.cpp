#include "prompt_text.hpp"

#include <algorithm>
#include <new>

#include "guest/kernel/panic.hpp"
#include "state.hpp"

namespace guest::llm {

namespace {

/// What the answer may be. Null: any text.
std::expected<std::unique_ptr<Constraint>, kernel::NamedError> make_constraint(const LoadedModel& model,
                                                                               const PromptText& text) {
  if (text.pattern.empty() && text.choices.empty()) {
    return nullptr;
  }
  auto automaton = text.choices.empty() ? Automaton::of_pattern(text.pattern) : Automaton::of_choices(text.choices);
  if (!automaton) {
    return std::unexpected(automaton.error());
  }
  return Constraint::make(std::move(*automaton), *model.texts, model.model->shape().vocabulary);
}

}  // namespace

kernel::Outcome prompt_too_long(std::uint64_t tokens, std::uint64_t room, std::uint64_t context) {
  return kernel::fail("llm-prompt-too-long", "{} tokens, but there is room for {} of {}", tokens, room, context);
}

std::expected<ReadPrompt, kernel::NamedError> read_prompt(const LoadedModel& model, const PromptText& text) {
  ReadPrompt read;
  auto constraint = make_constraint(model, text);
  if (!constraint) {
    return std::unexpected(constraint.error());
  }
  read.constraint = std::move(*constraint);
  const std::uint32_t context = model.model->shape().context;
  // Each byte is a token at most, but the space in front, which is three of them where no token is a space.
  const std::size_t room = std::min<std::size_t>(text.prompt.size() + 8, context);
  read.tokens.reset(new (std::nothrow) Token[room + 1]);
  if (read.tokens == nullptr) {
    return kernel::fail("llm-no-memory", "no memory for a request of {} bytes", text.prompt.size());
  }
  const auto encoded = model.tokenizer->encode(text.prompt, {read.tokens.get(), room},
                                               {.begin_token = text.begins, .leading_space = text.begins});
  if (!encoded) {
    return std::unexpected(encoded.error());
  }
  if (*encoded > room) {
    return std::unexpected(prompt_too_long(*encoded, context, context).error());
  }
  if (*encoded == 0) {
    return kernel::fail("llm-empty-prompt", "no token, expected at least 1");
  }
  read.count = static_cast<std::uint32_t>(*encoded);
  return read;
}

std::unique_ptr<KeptPromptText> KeptPromptText::copy(const PromptText& text) {
  std::size_t size = text.prompt.size() + text.pattern.size();
  for (const std::string_view choice : text.choices) {
    size += choice.size();
  }
  std::unique_ptr<KeptPromptText> kept(new (std::nothrow) KeptPromptText);
  if (kept == nullptr) {
    return nullptr;
  }
  kept->bytes_.reset(new (std::nothrow) char[size]);
  if (kept->bytes_ == nullptr) {
    return nullptr;
  }
  char* end = kept->bytes_.get();
  const auto keep = [&end](std::string_view from) {
    const char* const begin = end;
    end = std::ranges::copy(from, end).out;
    return std::string_view(begin, from.size());
  };
  kept->text_ = {.prompt = keep(text.prompt), .pattern = keep(text.pattern), .begins = text.begins};
  for (const std::string_view choice : text.choices) {
    kernel::require(kept->choices_.push_back(keep(choice)), "more choices are kept than there may be");
  }
  kept->text_.choices = {kept->choices_.begin(), kept->choices_.size()};
  return kept;
}

}  // namespace guest::llm
