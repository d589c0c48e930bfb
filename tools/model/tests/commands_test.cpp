// The commands on files, and each of their errors.
#include "tools/model/commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "guest/gguf/testing/builder.hpp"
#include "vmm/base/file.hpp"

namespace sis_model {
namespace {

using abi::ExitCode;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kSeed[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";  // RFC 8032, TEST 1
constexpr char kKey[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

guest::gguf::testing::Builder model(const char* name = "Tiny") {
  guest::gguf::testing::Builder builder;
  builder.put("general.architecture", "llama").put("general.name", name);
  builder.put("llama.context_length", std::uint32_t{16});
  builder.put_array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c"});
  builder.put_floats("m", {2, 2}, {1, 2, 3, 4});
  return builder;
}

class CommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-model-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name + "/";
    write("tiny.gguf", model().bytes());
    write("ours.key", std::string(kSeed) + "\n", 0600);
    write("ours.pub", std::string(kKey) + "\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    ASSERT_TRUE(vmm::write_file(folder_ + name, text, mode));
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    return vmm::read_file(folder_ + name, 1 << 20).value_or("cannot be read");
  }
  [[nodiscard]] unsigned mode_of(const std::string& name) const {
    struct stat status{};
    EXPECT_EQ(::stat((folder_ + name).c_str(), &status), 0);
    return status.st_mode & 07777;
  }

  /// What the command prints, with FOLDER for the test's; "CODE: " in front of an error.
  template <typename Command>
  std::string run(const Command& command, bool json = false) {
    std::ostringstream out;
    std::ostringstream err;
    const ExitCode code = run_command({.command = command, .json = json}, out, err);
    EXPECT_TRUE(err.str().empty() || (out.str().empty() && code != ExitCode::Passed));
    std::string text = out.str() + err.str();
    for (std::size_t at = 0; (at = text.find(folder_)) != std::string::npos;)
      text.replace(at, folder_.size(), "FOLDER/");
    return (code == ExitCode::Passed ? "" : std::to_string(static_cast<int>(code)) + ": ") + text;
  }
  [[nodiscard]] Sign sign() const {
    return {.model = folder_ + "tiny.gguf", .key = folder_ + "ours.key", .revision = 3, .wcet_cycles = 1200};
  }
  [[nodiscard]] Verify verify() const { return {.model = folder_ + "tiny.gguf", .public_key = kKey}; }
  /// Of a package that is signed and then changed.
  std::string changed(const std::string& before, const std::string& after) {
    std::string text = read("tiny.sig");
    text.replace(text.find(before), before.size(), after);
    write("tiny.sig", text);
    return run(verify());
  }

  std::string folder_;
};

TEST_F(CommandsTest, keys_are_made_for_their_owner_and_replace_nothing) {
  EXPECT_THAT(run(Keygen{.name = folder_ + "new"}), StartsWith("FOLDER/new.key: secret, keep it\nFOLDER/new.pub: "));
  EXPECT_EQ(mode_of("new.key"), 0600U);
  const std::string secret = read("new.key");
  EXPECT_EQ(secret.size(), 65U);
  EXPECT_NE(secret, read("new.pub"));
  EXPECT_EQ(run(Keygen{.name = folder_ + "new"}),
            "2: sis-model: FOLDER/new.pub is there already; --force replaces it\n");
  std::filesystem::remove(folder_ + "new.pub");
  EXPECT_EQ(run(Keygen{.name = folder_ + "new"}),
            "2: sis-model: FOLDER/new.key is there already; --force replaces it\n");
  EXPECT_EQ(read("new.key"), secret);
  const auto answer = nlohmann::json::parse(run(Keygen{.name = folder_ + "new", .force = true}, true));
  EXPECT_NE(read("new.key"), secret);
  EXPECT_EQ(mode_of("new.key"), 0600U);
  EXPECT_EQ(answer["key"].get<std::string>() + "\n", read("new.pub"));
  EXPECT_EQ(run(Keygen{.name = folder_ + "none/new"}),
            "2: sis-model: cannot create FOLDER/none/new.key: No such file or directory\n");
}

TEST_F(CommandsTest, pair_that_was_made_signs_and_verifies) {
  ASSERT_THAT(run(Keygen{.name = folder_ + "new"}), HasSubstr("new.pub"));
  Sign command = sign();
  command.key = folder_ + "new.key";
  ASSERT_THAT(run(command), StartsWith("FOLDER/tiny.sig: signed\n"));
  Verify check = verify();
  EXPECT_THAT(run(check), StartsWith("1: sis-model: package-wrong-key: FOLDER/tiny.gguf: signed by "));
  check.public_key = "@" + folder_ + "new.pub";
  EXPECT_THAT(run(check), StartsWith("FOLDER/tiny.gguf: accepted\n"));
}

TEST_F(CommandsTest, manifest_says_what_the_model_is) {
  EXPECT_THAT(run(sign()),
              StartsWith("FOLDER/tiny.sig: signed\nid            tiny\nname          Tiny\nrevision      3\n"
                         "context       16\nvocabulary    3\nquantisation  F32\n"));
  const auto answer = nlohmann::json::parse(run(Inspect{.file = folder_ + "tiny.sig"}, true))["manifest"];
  EXPECT_EQ(answer["wcet-cycles"], 1200);
  EXPECT_EQ(answer["size"], model().bytes().size());
  EXPECT_EQ(answer["key"], kKey);
  EXPECT_EQ(answer["signature"], "of this key");
  EXPECT_EQ(answer["sha256"].get<std::string>() + "  FOLDER/tiny.gguf\n", run(Hash{.file = folder_ + "tiny.gguf"}));
  EXPECT_EQ(nlohmann::json::parse(run(Hash{.file = folder_ + "tiny.gguf"}, true))["sha256"], answer["sha256"]);
}

TEST_F(CommandsTest, names_are_given_or_the_models_or_the_id) {
  Sign command = sign();
  command.id = "other-1.2";
  command.name = "What it is";
  command.output = folder_ + "x";
  ASSERT_THAT(run(command), HasSubstr("id            other-1.2\nname          What it is\n"));
  write("tiny.gguf", model("\x1b[2J").bytes());
  EXPECT_THAT(run(sign()), HasSubstr("id            tiny\nname          tiny\n"));
  write("no id.gguf", model().bytes());
  command = sign();
  command.model = folder_ + "no id.gguf";
  EXPECT_EQ(run(command),
            "2: sis-model: FOLDER/no id.gguf: its name without the ending is no id (1 to 32 of A-Z a-z 0-9 . _ -, the "
            "first a letter or a digit); --id gives one\n");
}

TEST_F(CommandsTest, manifest_that_is_there_is_replaced_by_force_only) {
  ASSERT_THAT(run(sign()), HasSubstr("signed"));
  const std::string first = read("tiny.sig");
  Sign command = sign();
  command.revision = 4;
  EXPECT_EQ(run(command), "2: sis-model: FOLDER/tiny.sig is there already; --force replaces it\n");
  EXPECT_EQ(read("tiny.sig"), first);
  command.force = true;
  EXPECT_THAT(run(command), HasSubstr("revision      4\n"));
  EXPECT_THAT(run(verify()), StartsWith("FOLDER/tiny.gguf: accepted\n"));
}

TEST_F(CommandsTest, manifest_never_replaces_what_it_is_made_of) {
  Sign command = sign();
  command.force = true;
  for (const std::string name : {"tiny.gguf", "ours.key"}) {
    const std::string before = read(name);
    command.output = folder_ + "./" + name;
    EXPECT_EQ(run(command),
              "2: sis-model: the manifest would replace FOLDER/" + name + "; --output says where it goes\n");
    EXPECT_EQ(read(name), before);
  }
}

TEST_F(CommandsTest, model_that_is_none_is_not_signed) {
  write("tiny.gguf", "GGUF");
  EXPECT_EQ(run(sign()),
            "1: sis-model: gguf-truncated: FOLDER/tiny.gguf: a version at byte 4 needs 4 bytes, 0 of 4 are left\n");
  write("tiny.gguf", guest::gguf::testing::Builder().bytes());
  EXPECT_EQ(run(sign()),
            "1: sis-model: gguf-missing-key: FOLDER/tiny.gguf: there is no 'general.architecture', expected string\n");
  EXPECT_EQ(run(Inspect{.file = folder_ + "tiny.gguf"}), run(sign()));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "tiny.sig"));
  std::filesystem::remove(folder_ + "tiny.gguf");
  EXPECT_EQ(run(sign()), "2: sis-model: cannot open FOLDER/tiny.gguf: No such file or directory\n");
}

TEST_F(CommandsTest, key_that_is_none_is_named) {
  Sign command = sign();
  write("ours.key", std::string(kSeed) + "\n", 0640);
  EXPECT_EQ(
      run(command),
      "2: sis-model: FOLDER/ours.key can be read or written by others than its owner: chmod 600 FOLDER/ours.key\n");
  write("ours.key", "abc\n", 0600);
  EXPECT_EQ(run(command),
            "2: sis-model: FOLDER/ours.key: 3 bytes in its line, expected 64 hexadecimal digits: a secret key that "
            "`sis-model keygen` wrote\n");
  write("ours.key", std::string(64, 'A'), 0600);
  EXPECT_EQ(run(command), "2: sis-model: FOLDER/ours.key: expected 64 hexadecimal digits in lower case\n");
  write("ours.key", std::string(100, 'a'), 0600);
  EXPECT_THAT(run(command), HasSubstr("more than the 66 bytes that are allowed"));
  command.key = folder_ + "none";
  EXPECT_EQ(run(command), "2: sis-model: cannot open FOLDER/none: No such file or directory\n");
  Verify check = verify();
  check.public_key = "abc";
  EXPECT_EQ(run(check), "2: sis-model: --public-key: expected 64 hexadecimal digits in lower case\n");
  check.public_key = std::string(64, '0');
  EXPECT_EQ(run(check), "2: sis-model: --public-key: " + std::string(64, '0') + " is no public key of Ed25519\n");
  check.public_key = "@" + folder_ + "tiny.gguf";
  EXPECT_EQ(run(check).substr(0, 3), "2: ");
}

TEST_F(CommandsTest, package_is_refused_with_the_guests_reasons) {
  Verify check = verify();
  EXPECT_EQ(run(check), "2: sis-model: cannot open FOLDER/tiny.sig: No such file or directory\n");
  ASSERT_THAT(run(sign()), HasSubstr("signed"));
  check.min_revision = 3;
  EXPECT_THAT(run(check), StartsWith("FOLDER/tiny.gguf: accepted\n"));
  check.min_revision = 4;
  EXPECT_EQ(run(check),
            "1: sis-model: package-replayed: FOLDER/tiny.gguf: 'tiny' is of revision 3, expected 4 or later\n");
  check.id = "other";
  EXPECT_THAT(run(check), StartsWith("1: sis-model: package-wrong-id: "));
  const auto error = nlohmann::json::parse(run(check, true).substr(3))["error"];
  EXPECT_EQ(error["code"], "package-wrong-id");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("the manifest is that of 'tiny', expected 'other'"));

  EXPECT_THAT(changed("revision: 3", "revision: 4"), StartsWith("1: sis-model: package-wrong-signature: "));
  const auto seen = nlohmann::json::parse(run(Inspect{.file = folder_ + "tiny.sig"}, true));
  EXPECT_EQ(seen["manifest"]["signature"], "not of this key");
  EXPECT_THAT(changed("context: 16\n", ""), StartsWith("1: sis-model: package-missing-field: "));
  EXPECT_THAT(run(Inspect{.file = folder_ + "tiny.sig"}), StartsWith("1: sis-model: package-missing-field: "));
}

TEST_F(CommandsTest, model_that_was_changed_is_refused) {
  ASSERT_THAT(run(sign()), HasSubstr("signed"));
  std::string other = model().bytes();
  other.back() ^= 1;
  write("tiny.gguf", other);
  EXPECT_THAT(run(verify()), StartsWith("1: sis-model: package-wrong-hash: FOLDER/tiny.gguf: the model file has "));
  other.pop_back();
  write("tiny.gguf", other);
  EXPECT_THAT(run(verify()), StartsWith("1: sis-model: package-model-truncated: "));
}

TEST_F(CommandsTest, model_is_inspected_without_its_bytes_on_the_terminal) {
  EXPECT_THAT(run(Inspect{.file = folder_ + "tiny.gguf"}),
              StartsWith("FOLDER/tiny.gguf: a model\narchitecture  llama\ncontext       16\nvocabulary    3\n"
                         "quantisation  F32\nkeys          4\ntensors       1\n"));
  guest::gguf::testing::Builder hostile;
  hostile.put("general.architecture", "\x1b[2J\xff").put("\x1b[2J\xff.context_length", std::uint32_t{1});
  hostile.put_array("tokenizer.ggml.tokens", std::vector<std::string>{"a"}).put_floats("m", {2, 2}, {1, 2, 3, 4});
  write("tiny.gguf", hostile.bytes());
  EXPECT_THAT(run(Inspect{.file = folder_ + "tiny.gguf"}), HasSubstr("architecture  \\x1b[2J\\xff\n"));
  EXPECT_TRUE(nlohmann::json::accept(run(Inspect{.file = folder_ + "tiny.gguf"}, true)));
}

}  // namespace
}  // namespace sis_model
