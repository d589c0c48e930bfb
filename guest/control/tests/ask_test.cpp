// ask: what is made of an answer, whatever the model says.
#include <gmock/gmock.h>

#include "guest/control/utf8.hpp"
#include "llm_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::StartsWith;

/// A model that says `tokens` behind any prompt that ends with "=", one after the other, and then its end: what it says
/// next depends on the last token alone. With "_" for a blank.
std::string scripted_model(const std::vector<std::string>& tokens) {
  llm::testing::Tokens vocabulary = llm::testing::pieces();
  constexpr std::size_t kEnd = 2;
  const std::size_t first = vocabulary.texts.size();
  for (const std::string& token : tokens) {
    std::string text;
    for (const char c : token) {
      text += c == '_' ? std::string("\xE2\x96\x81") : std::string(1, c);
    }
    vocabulary.add(text, llm::TokenType::Normal, -1000);
  }
  const llm::testing::SmallModel shape{.context = 512,
                                       .vocabulary = static_cast<std::uint32_t>(vocabulary.texts.size()),
                                       .layers = 1,
                                       .own_output = true};
  llm::testing::Weights weights;
  for (const auto& [name, size] : tensors_of(shape)) {
    weights[name].assign(size.first * size.second, size.first == 1 ? 1.0F : 0.0F);  // layers add nothing
  }
  const auto at = [&](const char* name, std::size_t token, std::size_t element) -> float& {
    return weights[name][token * shape.embedding + element];
  };
  for (std::size_t token = 0; token < first; ++token) {
    at("token_embd.weight", token, 0) = 1;
  }
  constexpr std::size_t kEquals = 3 + '=';
  at("token_embd.weight", kEquals, 0) = 0;
  std::size_t last = kEquals;
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    at("token_embd.weight", last, i + 1) = 1;
    const std::size_t next = i == tokens.size() ? kEnd : first + i;
    at("output.weight", next, i + 1) = 1;
    last = next;
  }
  gguf::testing::Builder builder = keys_of(shape);
  builder.put("tokenizer.ggml.model", "llama").put_array("tokenizer.ggml.tokens", vocabulary.texts);
  builder.put_array("tokenizer.ggml.token_type", vocabulary.types);
  builder.put_array("tokenizer.ggml.scores", vocabulary.scores);
  builder.put("tokenizer.ggml.bos_token_id", std::uint32_t{1}).put("tokenizer.ggml.eos_token_id", std::uint32_t{kEnd});
  for (const auto& [name, size] : tensors_of(shape)) {
    const auto [rows, columns] = size;
    builder.put_floats(name, rows == 1 ? std::vector{columns} : std::vector{columns, rows}, weights.at(name));
  }
  return builder.bytes();
}

class AskTest : public LlmCommandsTest {
 protected:
  /// What `ask` answers with a model that says this.
  json said(const std::vector<std::string>& tokens) {
    machine.trust.policy.allow_unsigned = true;
    files_.put_model("script", scripted_model(tokens));
    files_.open(machine.files);
    start();
    EXPECT_EQ(ask("llmctl load", {"script"})["state"], "loaded");
    const json answer = ask("ask", {"which server is over budget?", "--model", "script"});
    EXPECT_EQ(answer["stop"], "end") << answer;
    EXPECT_EQ(answer["tokens"], tokens.size());
    expect_utf8(answer);
    return answer;
  }
  static void expect_utf8(const json& value) {
    if (value.is_string()) {
      EXPECT_TRUE(is_utf8(value.get_ref<const std::string&>()));
    }
    if (value.is_structured()) {
      std::ranges::for_each(value, expect_utf8);
    }
  }
};

/// Of which as many bytes are shown.
constexpr std::size_t kMostText = 1024;
const std::string kClaim = "no_server_is_over_budget.";
/// With it as long as what is shown.
const std::string kRest(kMostText - kClaim.size(), '.');

TEST_F(AskTest, all_that_is_supported_holds) {
  const json answer = said({kClaim, kRest});
  EXPECT_EQ(answer["answer"].get_ref<const std::string&>().size(), kMostText);
  EXPECT_EQ(answer["holds"], true);
}

TEST_F(AskTest, what_was_cut_does_not_hold_though_all_that_is_left_is_supported) {
  const json answer = said({kClaim, kRest, "."});
  EXPECT_EQ(answer["figures"].size(), 1U);
  EXPECT_EQ(answer["figures"][0]["holds"], true);
  EXPECT_EQ(answer["holds"], false);
  EXPECT_THAT(answer["said"], StartsWith("no server is over budget."));
}

TEST_F(AskTest, what_is_cut_within_a_character_is_text_all_the_same) {
  std::string text = "xx";
  while (text.size() < kMostText - 1) {
    text += "\xC3\xA4";  // two bytes, so that the 1021st byte of the text is the first of one
  }
  const json answer = said({text, "\xC3\xA4", "more"});
  EXPECT_EQ(answer["holds"], false);
}

TEST_F(AskTest, most_statements_of_the_longest_name_find_their_room) {
  std::string name = "o99.";  // so that what is shown of it ends in the middle of a character
  while (name.size() < 300) {
    name += "\xC3\xA4";
  }
  std::string claims;
  for (int i = 0; i < 12; ++i) {
    claims += "_no_server_is_over_budget";
  }
  const json answer = said({name + "_x", claims, claims + ","});
  EXPECT_EQ(answer["figures"].size(), 24U);  // as many as are told
  EXPECT_EQ(answer["figures"][23]["said"], "no server is over budget");
  EXPECT_THAT(answer["figures"][23]["of"], StartsWith("o99.\xC3\xA4"));
  EXPECT_EQ(answer["holds"], false);
}

TEST_F(AskTest, what_a_model_makes_up_of_figures_does_not_hold) {
  start();
  EXPECT_EQ(refusal("ask", {"why"}), "llm-no-model: no model \"sis-explain\" is loaded");
  EXPECT_THAT(refusal("ask", {"why", "--model", "tiny"}), ::testing::StartsWith("llm-prompt-too-long: "));
  EXPECT_THAT(refusal("ask", {"why", "--graph", "none"}), ::testing::StartsWith("graph-unknown: "));
  ASSERT_EQ(ask("llmctl load", {"wide"})["state"], "loaded");
  LlmCaller caller;
  run_for(caller, "ask", {"which operator is the bottleneck?", "--model", "wide"});
  pump();
  EXPECT_EQ(caller.answer["holds"], false) << caller.answer;
  EXPECT_EQ(caller.answer["model"], "wide");
  EXPECT_LE(caller.answer["tokens"], 64);
  TextCapture shown;
  find_command("ask")->render(shown, read_own_cbor(caller.result));
  EXPECT_THAT(shown.text, ::testing::HasSubstr("\nnot all of this is supported by figures:\n"));
  EXPECT_EQ(ask("llmctl status")["kept"], 0);
}

TEST_F(AskTest, question_that_nobody_waits_for_is_forgotten) {
  start();
  ASSERT_EQ(ask("llmctl load", {"wide"})["state"], "loaded");
  LlmCaller caller;
  run_for(caller, "ask", {"why", "--model", "wide"});
  ASSERT_NE(caller.operation, nullptr);
  caller.operation->cancel();
  pump();
  EXPECT_TRUE(caller.answer.is_null());
  EXPECT_EQ(ask("llmctl status")["kept"], 0);
}

}  // namespace
}  // namespace guest::control::testing
