// The first byte says what the others are: a model file, whose tokenizer, if it has one, is used; or a text, which
// comes back from the tokens of a vocabulary of either kind.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>

#include "guest/llm/tokenizer/testing/vocabularies.hpp"

namespace {

using namespace guest;
using namespace guest::llm;

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Pieces and merges of three letters and the space.
std::string vocabulary(bool pieces, const char* words) {
  std::mt19937 random(1);
  testing::Tokens tokens = pieces ? testing::pieces() : testing::bytes();
  std::vector<std::string> parts = {"a", "b", pieces ? "\xE2\x96\x81" : testing::byte_text(' ')};
  while (parts.size() < 60) {
    const std::string& left = parts[random() % parts.size()];
    const std::string& right = parts[random() % parts.size()];
    const std::string both = left + right;
    if (both.size() <= 100 && std::ranges::find(parts, both) == parts.end()) {
      tokens.merges.push_back(left + " " + right);
      tokens.add(both, TokenType::Normal, static_cast<float>(random() % 7));
      parts.push_back(both);
    }
  }
  return (pieces ? testing::piece_file(tokens) : testing::pair_file(tokens, words)).bytes();
}

void check_file(std::span<const std::byte> bytes) {
  const auto file = gguf::File::open(bytes);
  if (!file) {
    return;
  }
  const auto tokenizer = Tokenizer::make(*file);
  if (!tokenizer) {
    expect(!tokenizer.error().name.empty() && !tokenizer.error().detail.view().empty());
    return;
  }
  constexpr std::string_view kText = "Once upon a\n\n time 123\xC3\xA4\xFF";
  Token tokens[128];
  const auto count = tokenizer->encode(kText, tokens, {.begin_token = false, .leading_space = false});
  expect(count.has_value() && *count <= kText.size());
  char text[1024];
  const std::size_t bytes_back = tokenizer->decode(std::span(tokens, *count), text, false);
  expect(std::string_view(text, bytes_back) == kText);
}

void check_text(std::string_view text) {
  static const testing::Loaded loaded[] = {testing::Loaded(vocabulary(true, "")),
                                           testing::Loaded(vocabulary(false, "gpt-2")),
                                           testing::Loaded(vocabulary(false, "llama-bpe"))};
  for (const testing::Loaded& tokenizer : loaded) {
    if (tokenizer->kind() == "gpt2" || text.find("\xE2\x96\x81") == std::string_view::npos) {
      expect(tokenizer.decode(tokenizer.encode(text)) == text);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto rest = std::span(data, size).subspan(1);
  if (data[0] == 'f') {
    check_file(std::as_bytes(rest));
  } else {
    // Longer ones show nothing that these do not, and take their time.
    check_text({reinterpret_cast<const char*>(rest.data()), std::min<std::size_t>(rest.size(), 256)});
  }
  return 0;
}
