#include "tools/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "vmm/base/file.hpp"

namespace sisctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

const std::string kToken = "01070000" + std::string(88, 'a');
const std::string kKey = "00ff" + std::string(60, '7');

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "sis-credentials-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
    ::unsetenv("SIS_TOKEN");
  }
  void TearDown() override {
    ::unsetenv("SIS_TOKEN");
    fs::remove_all(folder);
  }
  [[nodiscard]] Target target() const {
    Options options;
    options.socket_path = folder / "vsock.sock";
    return *find_target(options);
  }
  fs::path folder;
};

TEST_F(CredentialsTest, token_is_read_from_digits_or_a_file) {
  EXPECT_EQ(read_token(kToken)->rights, 7);
  ASSERT_TRUE(vmm::write_file(folder / "token", kToken + "\r\n"));
  EXPECT_EQ(read_token("@" + (folder / "token").string())->rights, 7);
}

TEST_F(CredentialsTest, wrong_token_is_a_usage_error_that_does_not_repeat_it) {
  for (const std::string& wrong : {kToken + "0", kToken.substr(2), std::string(95, '0') + "g"}) {
    const auto token = read_token(wrong);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().exit_code, ExitCode::Usage);
    EXPECT_EQ(token.error().message, "the token has " + std::to_string(wrong.size()) +
                                         " characters, allowed: 96 hexadecimal digits, as `sisctl token new` answers "
                                         "them, or @FILE");
    EXPECT_EQ(token.error().message.find(wrong), std::string::npos);
  }
  EXPECT_EQ(read_token("@" + (folder / "none").string()).error().kind, "bad-token");
}

TEST_F(CredentialsTest, environment_gives_a_token_unless_the_command_line_does) {
  ::setenv("SIS_TOKEN", "of-the-environment", 1);
  EXPECT_EQ(target().token, "of-the-environment");
  Options options;
  options.socket_path = "vsock.sock";
  options.token = "given";
  EXPECT_EQ(find_target(options)->token, "given");
  options.token.clear();
  options.key_path = "key";
  EXPECT_EQ(find_target(options)->token, "");
}

TEST_F(CredentialsTest, token_that_is_given_needs_no_key) {
  Target with = target();
  EXPECT_EQ(token_for(with).error().kind, "no-key");
  with.token = kToken;
  EXPECT_EQ(token_for(with)->rights, 7);
}

TEST_F(CredentialsTest, tokens_under_the_key_have_ids_of_their_own) {
  ASSERT_TRUE(vmm::write_file(folder / "control.key", std::string(32, 'k'), 0600));
  const auto one = token_for(target());
  const auto other = token_for(target());
  EXPECT_NE(one->id, other->id);
  EXPECT_LT(one->id, 0x8000'0000U);
}

TEST_F(CredentialsTest, new_key_is_written_down_and_not_shown) {
  json result = {{"key", kKey}, {"set", true}};
  ASSERT_TRUE(keep_new_key(target(), result));
  const std::string path = folder / "control.key";
  EXPECT_EQ(result, (json{{"key_written_to", path}, {"set", true}}));
  EXPECT_EQ(vmm::read_file(path, 100).value().substr(0, 3), std::string("\0\xff\x77", 3));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(CredentialsTest, new_key_goes_to_the_run_directory_and_to_the_file_that_was_given) {
  Target with = target();
  with.key_path = folder / "copy";
  json result = {{"key", kKey}};
  ASSERT_TRUE(keep_new_key(with, result));
  EXPECT_EQ(result["key_written_to"].size(), 2U);
  EXPECT_EQ(*vmm::read_file(folder / "copy", 100), *vmm::read_file(folder / "control.key", 100));
}

TEST_F(CredentialsTest, key_that_cannot_be_written_is_told) {
  Target with = target();
  with.run_key_path = folder / "none" / "control.key";
  json result = {{"key", kKey}};
  const auto kept = keep_new_key(with, result);
  ASSERT_FALSE(kept);
  EXPECT_THAT(kept.error().message,
              HasSubstr("the key was rotated, and the new one, " + std::string(kKey) + ", cannot be written: "));
}

TEST_F(CredentialsTest, result_without_a_key_stays_and_a_wrong_key_is_the_guests_fault) {
  json shown = {{"set", true}};
  ASSERT_TRUE(keep_new_key(target(), shown));
  EXPECT_EQ(shown, (json{{"set", true}}));
  json wrong = {{"key", "00"}};
  const auto kept = keep_new_key(target(), wrong);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().exit_code, ExitCode::Protocol);
  EXPECT_EQ(kept.error().message, "the guest's new key is not 64 hexadecimal digits");
  EXPECT_FALSE(fs::exists(folder / "control.key"));
}

}  // namespace
}  // namespace sisctl
