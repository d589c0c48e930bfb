// The plain engine's times with a model, and how fast this host reads as many bytes as the model's weights have
// (docs/llm-bench.md). tests/performance/llm_bench.py starts it and makes tables of what it finds.
//
//   llm_plain MODEL.gguf PROMPT TOKENS SAMPLES [--logits]
//
// Each sample is a prompt of so many tokens, those of the guest's image, and so many tokens that follow. Prints
// JSON; with --logits the last step's too.
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine.hpp"
#include "machine.hpp"

namespace llm_bench {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t ns_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
}

template <typename List>
std::string json_list(const List& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "[" + text + "]";
}

/// The same as of the guest's image (guest/arch/aarch64/tests/guest/llm_bench.cpp), so that the work is the same.
std::vector<std::uint32_t> prompt_of(std::size_t count, std::size_t vocabulary) {
  std::vector<std::uint32_t> tokens;
  tokens.reserve(count);
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::uint32_t>((i * 7919 + 1) % vocabulary));
  return tokens;
}

/// A JSON object: times of the prompt and of each token behind it.
std::string sample(Engine& engine, const std::vector<std::uint32_t>& prompt, std::size_t count) {
  std::vector<std::int64_t> times;
  engine.clear();
  const auto begin = Clock::now();
  std::vector<std::uint32_t> said{engine.run(prompt)};
  const std::int64_t first_ns = ns_since(begin);
  while (said.size() <= count) {
    const auto token_begin = Clock::now();
    said.push_back(engine.run({&said.back(), 1}));
    times.push_back(ns_since(token_begin));
  }
  return "{\"first_token_ns\": " + std::to_string(first_ns) + ", \"token_ns\": " + json_list(times) +
         ", \"tokens\": " + json_list(said) + "}";
}

struct Free {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};

/// Nanoseconds of reading so many bytes; nothing where we know no way. They are as warm as a model's weights.
std::vector<std::uint64_t> read_times(std::size_t bytes, std::size_t samples) {
  constexpr std::size_t kAlignment = 64;
  const npu_bench::Reader reader = npu_bench::reader();
  std::vector<std::uint64_t> times;
  if (reader.read == nullptr) return times;
  const std::size_t size = bytes / reader.step * reader.step;
  const std::unique_ptr<std::byte, Free> memory(static_cast<std::byte*>(std::aligned_alloc(kAlignment, size)));
  if (memory == nullptr) throw std::runtime_error("no memory to read");
  std::memset(memory.get(), 1, size);
  for (std::size_t i = 0; i < samples; ++i) {
    times.push_back(npu_bench::run_together(1, [&](unsigned) { reader.read({memory.get(), size}); }));
  }
  return times;
}

std::size_t number(const char* text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0' || value == 0) {
    throw std::runtime_error("'" + std::string(text) + "' is no whole number above 0");
  }
  return value;
}

void run(const char* path, std::size_t prompt, std::size_t tokens, std::size_t samples, bool with_logits) {
  const Model model = read_model(path);
  if (prompt + tokens > model.context) {
    throw std::runtime_error("a prompt of " + std::to_string(prompt) + " tokens and " + std::to_string(tokens) +
                             " more, expected at most " + std::to_string(model.context));
  }
  Engine engine(model, prompt);
  const std::vector<std::uint32_t> asked = prompt_of(prompt, model.vocabulary);
  std::string found;
  for (std::size_t i = 0; i < samples; ++i) found += (i == 0 ? "" : ",\n  ") + sample(engine, asked, tokens);
  const std::size_t bytes = model.weight_bytes();
  std::cout << "{\"weight_bytes\": " << bytes << ",\n \"read_ns\": " << json_list(read_times(bytes, 2 * samples + 1))
            << ",\n \"samples\": [" << found << "]";
  if (with_logits) std::cout << ",\n \"logits\": " << json_list(engine.logits());
  std::cout << "}\n";
}

}  // namespace
}  // namespace llm_bench

int main(int count, char** arguments) try {
  const bool with_logits = count == 6 && std::string_view(arguments[5]) == "--logits";
  if (count != 5 && !with_logits) {
    std::cerr << "usage: llm_plain MODEL.gguf PROMPT TOKENS SAMPLES [--logits]\n";
    return 2;
  }
  using llm_bench::number;
  llm_bench::run(arguments[1], number(arguments[2]), number(arguments[3]), number(arguments[4]), with_logits);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "llm_plain: " << error.what() << '\n';
  return 1;
}
