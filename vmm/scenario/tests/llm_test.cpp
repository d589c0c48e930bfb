// The key llm: what it means, what is refused, and what is written of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "vmm/base/file.hpp"
#include "vmm/scenario/files.hpp"
#include "vmm/scenario/load.hpp"

namespace vmm::scenario {
namespace {

constexpr char kKey[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";  // RFC 8032, TEST 1

Result<Scenario> with(const std::string& llm, const std::string& file = "/a/b/s.yaml") {
  return load_text("apiVersion: sis/v1\n" + llm, file);
}

std::string error_of(const std::string& llm, const std::string& file = "/a/b/s.yaml") {
  const auto scenario = with(llm, file);
  return scenario ? "no error" : scenario.error().message;
}

TEST(LlmKey, says_who_signs_and_which_models) {
  const auto scenario = with(std::string("llm:\n  public_key: ") + kKey +
                             "\n  models:\n    - {file: ../tiny.gguf, min_revision: 3}\n    - {file: /m/x-1.2.gguf}\n");
  ASSERT_TRUE(scenario) << scenario.error().message;
  const Llm expected{
      .public_key = kKey,
      .models = {{.file = "/a/tiny.gguf", .min_revision = 3, .place = "/a/b/s.yaml:5:14: llm.models[0].file"},
                 {.file = "/m/x-1.2.gguf", .place = "/a/b/s.yaml:6:14: llm.models[1].file"}}};
  EXPECT_EQ(scenario->llm, expected);
  EXPECT_EQ(with("")->llm, Llm{});
  EXPECT_TRUE(with("llm: {allow_unsigned: true, models: [{file: a.gguf}]}")->llm.allow_unsigned);
}

TEST(LlmKey, mistakes_are_named_with_their_place) {
  EXPECT_EQ(
      error_of("llm: {models: [{file: a.gguf}]}"),
      "/a/b/s.yaml:2:6: llm: found models, and nobody who may sign them, allowed: public_key, public_key_file, or "
      "allow_unsigned: true");
  EXPECT_EQ(
      error_of("llm: {public_key: abc}"),
      "/a/b/s.yaml:2:19: llm.public_key: found \"abc\", allowed: a public key of Ed25519 as 64 hexadecimal digits "
      "in lower case, at most 64 bytes");
  const std::string ones(64, 'f');
  EXPECT_EQ(error_of("llm: {public_key: " + ones + "}"),
            "/a/b/s.yaml:2:19: llm.public_key: found " + ones + ", which is none, allowed: a public key of Ed25519");
  EXPECT_EQ(error_of(std::string("llm: {public_key: ") + kKey + ", public_key_file: k}"),
            "/a/b/s.yaml:2:102: llm.public_key_file: found a key beside public_key, allowed: one of the two");
  EXPECT_EQ(error_of("llm: {allow_unsigned: true, models: [{file: a.gguf, min_revision: 0}]}"),
            "/a/b/s.yaml:2:67: llm.models[0].min_revision: found 0, allowed: an integer from 1 to 4294967295");
  EXPECT_EQ(error_of("llm: {allow_unsigned: true, models: [{file: a.bin}]}"),
            "/a/b/s.yaml:2:45: llm.models[0].file: found /a/b/a.bin, allowed: a file NAME.gguf, NAME of at most 32 of "
            "A-Z a-z 0-9 . _ -, the first a letter or a digit");
  for (const char* const bad : {"-a.gguf", ".gguf", "a b.gguf", "a23456789012345678901234567890123.gguf"}) {
    EXPECT_NE(
        error_of("llm: {allow_unsigned: true, models: [{file: \"" + std::string(bad) + "\"}]}").find("NAME of at"),
        std::string::npos)
        << bad;
  }
  EXPECT_EQ(error_of("llm: {allow_unsigned: true, models: [{file: a.gguf}, {file: c/a.gguf}]}"),
            "/a/b/s.yaml:2:61: llm.models[1].file: found /a/b/c/a.gguf, allowed: a file with a name of its own "
            "(/a/b/a.gguf has this one)");
  EXPECT_EQ(error_of("llm: {budget: 1}").substr(0, 47), "/a/b/s.yaml:2:7: llm: found the unknown key \"bu");
}

TEST(LlmKey, mistakes_in_limits_are_named) {
  EXPECT_EQ(error_of("llm: {server: a}"),
            "/a/b/s.yaml:2:15: llm.server: found \"a\", allowed: the name of one of scheduler.servers");
  EXPECT_EQ(
      error_of("llm: {classes: [{name: a, members: [shell]}, {name: b, members: [tasks, shell]}]}"),
      "/a/b/s.yaml:2:73: llm.classes[1].members[1]: found \"shell\", allowed: each in one class (it is in \"a\")");
  EXPECT_EQ(error_of("llm: {classes: [{name: a}, {name: a}]}"),
            "/a/b/s.yaml:2:35: llm.classes[1].name: found \"a\", allowed: a name of its own (line 2 has this one)");
  EXPECT_EQ(error_of("llm: {classes: [{name: a, members: [guests]}]}"),
            "/a/b/s.yaml:2:37: llm.classes[0].members[0]: found \"guests\", allowed: shell, control, graphs, tasks, or "
            "token:NAME, at most 40 bytes");
  EXPECT_EQ(
      error_of("llm: {period: 999us}"),
      "/a/b/s.yaml:2:15: llm.period: found \"999us\", allowed: a duration from 1ms to 1000s, with the unit ns, us, "
      "ms or s");
  EXPECT_EQ(error_of("llm: {prompt_bytes: 16}").substr(0, 49), "/a/b/s.yaml:2:21: llm.prompt_bytes: found 16, all");
}

class LlmFilesTest : public ::testing::Test {
 protected:
  LlmFilesTest() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }
  ~LlmFilesTest() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(write_file(folder_ + "/" + name, text));
  }
  [[nodiscard]] std::string error(const std::string& llm, const FileLimits& limits = {}) const {
    const auto scenario = with(llm, folder_ + "/s.yaml");
    EXPECT_TRUE(scenario) << scenario.error().message;
    const auto files = read_files(*scenario, limits);
    return files ? "no error" : short_text(files.error().message);
  }
  /// With the folder's name left out.
  [[nodiscard]] std::string short_text(std::string text) const {
    for (std::size_t at = 0; (at = text.find(folder_)) != std::string::npos;) text.replace(at, folder_.size(), "F");
    return text;
  }

  std::string folder_ = testing::TempDir() + "sis-llm-XXXXXX";
};

TEST_F(LlmFilesTest, key_in_a_file_is_the_key) {
  write("k.pub", std::string(kKey) + "\n");
  const auto scenario = with("llm: {public_key_file: k.pub}", folder_ + "/s.yaml");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->llm, Llm{.public_key = kKey});
  EXPECT_EQ(load_text(to_yaml(*scenario), "again.yaml")->llm, scenario->llm);
  const auto refused = [&](const std::string& text) {
    write("k.pub", text);
    return short_text(error_of("llm: {public_key_file: k.pub}", folder_ + "/s.yaml"));
  };
  const std::string allowed = ", allowed: a file with 64 hexadecimal digits, as sis-model keygen writes it";
  EXPECT_EQ(refused("abc\n"),
            "F/s.yaml:2:24: llm.public_key_file: found 3 bytes that are no 64 hexadecimal digits" + allowed);
  EXPECT_EQ(refused(std::string(64, '0')),
            "F/s.yaml:2:24: llm.public_key_file: found " + std::string(64, '0') + ", which is none" + allowed);
  EXPECT_NE(refused(std::string(67, '0')).find("more than the 66 bytes"), std::string::npos);
  std::filesystem::remove(folder_ + "/k.pub");
  EXPECT_EQ(short_text(error_of("llm: {public_key_file: k.pub}", folder_ + "/s.yaml")),
            "F/s.yaml:2:24: llm.public_key_file: found cannot open F/k.pub: No such file or directory" + allowed);
}

TEST_F(LlmFilesTest, models_and_manifests_are_read_or_named) {
  const std::string strict = std::string("llm: {public_key: ") + kKey + ", models: [{file: a.gguf}]}";
  EXPECT_EQ(error(strict),
            "F/s.yaml:2:101: llm.models[0].file: found no model (cannot open F/a.gguf: No such file or directory), "
            "allowed: a model of at most 512MiB");
  write("a.gguf", "model");
  EXPECT_EQ(error(strict),
            "F/s.yaml:2:101: llm.models[0].file: found no manifest (cannot open F/a.sig: No such file or directory), "
            "allowed: one of at most 1KiB beside the model, as sis-model sign writes it, or llm.allow_unsigned: true");
  EXPECT_EQ(error("llm: {allow_unsigned: true, models: [{file: a.gguf}]}"), "no error");
  write("a.sig", std::string(1025, 's'));
  EXPECT_NE(error("llm: {allow_unsigned: true, models: [{file: a.gguf}]}").find("more than the 1024 bytes"),
            std::string::npos);
  write("a.sig", "manifest");
  EXPECT_EQ(error(strict), "no error");
  EXPECT_NE(error(strict, {.model_bytes = 4}).find("no model (cannot read F/a.gguf: it has more than the 4 bytes"),
            std::string::npos);
  EXPECT_NE(error(strict, {.total_bytes = 12}).find("found 13 bytes with the files before it"), std::string::npos);
  const auto files = read_files(*with(strict, folder_ + "/s.yaml"));
  EXPECT_EQ(*files, (std::map<std::string, std::string>{{"models/a.gguf", "model"}, {"models/a.sig", "manifest"}}));
}

}  // namespace
}  // namespace vmm::scenario
