#include "tools/model/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sis_model {
namespace {

using abi::ExitCode;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "sis-model");
  return parse_options(static_cast<int>(words.size()), words.data());
}

std::string usage_of(const std::vector<const char*>& words) {
  const auto parsed = parse(words);
  EXPECT_FALSE(parsed.run);
  EXPECT_EQ(parsed.exit_code, ExitCode::Usage);
  return parsed.text;
}

TEST(ModelOptions, each_command_is_read) {
  const auto sign = parse({"sign", "m.gguf", "--key", "k", "--revision", "4294967295", "--wcet-cycles", "5", "--id",
                           "a", "--name", "A b", "-o", "x.sig", "--force", "--json"});
  ASSERT_TRUE(sign.run) << sign.text;
  EXPECT_TRUE(sign.options.json);
  const Sign& read = std::get<Sign>(sign.options.command);
  EXPECT_EQ(read.model + read.key + read.id + read.name + read.output, "m.ggufkaA bx.sig");
  EXPECT_EQ(read.revision, UINT32_MAX);
  EXPECT_EQ(read.wcet_cycles, 5U);
  EXPECT_TRUE(read.force);
  EXPECT_TRUE(std::holds_alternative<Keygen>(parse({"keygen", "n"}).options.command));
  EXPECT_TRUE(std::holds_alternative<Hash>(parse({"--json", "hash", "n"}).options.command));
  EXPECT_TRUE(std::holds_alternative<Inspect>(parse({"inspect", "n"}).options.command));
  const auto verify = parse({"verify", "m", "--public-key", "@p", "--min-revision", "2", "--signature", "s"});
  EXPECT_EQ(std::get<Verify>(verify.options.command).min_revision, 2U);
}

TEST(ModelOptions, what_is_wrong_is_named) {
  EXPECT_THAT(usage_of({}),
              StartsWith("sis-model: a command is missing, allowed: keygen, hash, sign, verify, inspect"));
  EXPECT_THAT(usage_of({"sing"}), StartsWith("sis-model: unknown command 'sing', allowed: keygen"));
  EXPECT_THAT(usage_of({"hash"}), HasSubstr("FILE is required"));
  EXPECT_THAT(usage_of({"hash", ""}), HasSubstr("must not be empty"));
  EXPECT_THAT(usage_of({"hash", "a", "b"}), HasSubstr("b"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--wcet-cycles", "1"}), HasSubstr("--revision is required"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--revision", "0", "--wcet-cycles", "1"}), HasSubstr("--revision"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--revision", "4294967296", "--wcet-cycles", "1"}),
              HasSubstr("--revision"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--revision", "1x", "--wcet-cycles", "1"}), HasSubstr("1x"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--revision", "1"}), HasSubstr("--wcet-cycles is required"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--revision", "1", "--wcet-cycles", "1", "--id", "a/b"}),
              HasSubstr("expected 1 to 32 of A-Z a-z 0-9 . _ -, the first a letter or a digit"));
  EXPECT_THAT(usage_of({"sign", "m", "--key", "k", "--revision", "1", "--wcet-cycles", "1", "--name", " x"}),
              HasSubstr("expected 1 to 64 printable characters of ASCII, without blanks at its ends"));
  EXPECT_THAT(usage_of({"verify", "m"}), HasSubstr("--public-key is required"));
  EXPECT_THAT(usage_of({"inspect", "f", "--colour"}), HasSubstr("--colour"));
}

TEST(ModelOptions, help_and_version_are_printed) {
  EXPECT_THAT(parse({"--help"}).text, HasSubstr("signed packages of models"));
  EXPECT_THAT(parse({"sign", "--help"}).text, HasSubstr("--wcet-cycles"));
  EXPECT_THAT(parse({"--version"}).text, StartsWith("sis-model "));
}

}  // namespace
}  // namespace sis_model
