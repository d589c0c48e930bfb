#include "guest/llm/upload/upload.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/package/testing/package.hpp"

namespace guest::llm {
namespace {

using package::testing::bytes_of;
using package::testing::describe;
using package::testing::kOthers;
using package::testing::kOurs;
using package::testing::manifest_of;
using package::testing::signed_text;

class UploadTest : public ::testing::Test {
 protected:
  using Begun = std::expected<Upload, kernel::NamedError>;

  Begun begin(std::string_view id, std::uint64_t size, const std::optional<std::string>& manifest) {
    return Upload::begin(
        trust_, room_,
        {.id = id, .size = size, .manifest = manifest ? std::optional(bytes_of(*manifest)) : std::nullopt});
  }
  std::string why_not(std::string_view id, std::uint64_t size, const std::optional<std::string>& manifest) {
    const Begun begun = begin(id, size, manifest);
    return describe(begun ? kernel::Outcome() : std::unexpected(begun.error()));
  }

  std::uint64_t room_ = std::uint64_t{1} << 30;
  std::string model_ = package::testing::model_builder().bytes();
  std::string text_ = signed_text(manifest_of(model_));
  package::Trust trust_{.policy = {.key = kOurs.key}, .revisions = {}};
};

TEST_F(UploadTest, file_that_comes_in_pieces_is_what_was_sent) {
  Begun begun = begin("tiny", model_.size(), text_);
  ASSERT_TRUE(begun) << begun.error().detail.view();
  for (std::size_t at = 0; at < model_.size(); at += 100) {
    ASSERT_TRUE(begun->add(at, bytes_of(model_).subspan(at, std::min<std::size_t>(100, model_.size() - at))));
  }
  ASSERT_TRUE(begun->check_complete());
  EXPECT_EQ(begun->id(), "tiny");
  EXPECT_TRUE(std::ranges::equal(*begun->manifest(), bytes_of(text_)));
  EXPECT_TRUE(std::ranges::equal(begun->file(), bytes_of(model_)));
  const OwnedFile taken = begun->take_file();
  EXPECT_TRUE(std::ranges::equal(taken.bytes(), bytes_of(model_)));
  EXPECT_TRUE(begun->file().empty());
}

TEST_F(UploadTest, who_is_not_trusted_takes_no_memory) {
  EXPECT_EQ(why_not("tiny", model_.size(), std::nullopt),
            "package-unsigned: 'tiny' has no signature, and the scenario does not allow that");
  EXPECT_EQ(why_not("other", model_.size(), text_),
            "package-wrong-id: the manifest is that of 'tiny', expected 'other'");
  EXPECT_EQ(why_not("", model_.size(), signed_text(manifest_of(model_), kOthers)).substr(0, 24),
            "package-wrong-signature:");
  EXPECT_EQ(why_not("", model_.size(), text_.substr(0, 40)).substr(0, 18), "package-truncated:");
  EXPECT_EQ(why_not("", model_.size() - 1, text_), "package-wrong-size: the model file is to have " +
                                                       std::to_string(model_.size() - 1) +
                                                       " bytes, the manifest says " + std::to_string(model_.size()));
  EXPECT_EQ(why_not("", model_.size(), text_), "accepted");
}

TEST_F(UploadTest, unsigned_files_have_a_limit_and_an_id) {
  trust_.policy = {.key = std::nullopt, .allow_unsigned = true};
  EXPECT_EQ(why_not("", 5, std::nullopt).substr(0, 34), "package-bad-value: id: found '', e");
  EXPECT_EQ(why_not("../x", 5, std::nullopt).substr(0, 38), "package-bad-value: id: found '../x', e");
  EXPECT_EQ(why_not("tiny", 0, std::nullopt),
            "package-wrong-size: the model file is to have 0 bytes, expected 1 or more");
  EXPECT_EQ(why_not("tiny", kMaxUntrustedUpload, std::nullopt), "accepted");
  const std::string too_large =
      "package-too-large: the model file is to have 67108865 bytes; allowed: 67108864 unless it "
      "is signed with the scenario's key";
  EXPECT_EQ(why_not("tiny", kMaxUntrustedUpload + 1, std::nullopt), too_large);
  // Signed, but by anybody.
  package::Manifest manifest = manifest_of(model_);
  manifest.size = kMaxUntrustedUpload + 1;
  const std::string text = signed_text(manifest);
  EXPECT_EQ(why_not("tiny", manifest.size, text), too_large);
  trust_.policy.key = kOurs.key;
  EXPECT_EQ(why_not("tiny", manifest.size, text), "accepted");
}

TEST_F(UploadTest, memory_has_its_limits) {
  room_ = model_.size() - 1;
  const std::string size = std::to_string(model_.size());
  EXPECT_EQ(why_not("", model_.size(), text_), "package-no-memory: the model file is to have " + size +
                                                   " bytes, there is room for " + std::to_string(room_));
  room_ = model_.size();
  EXPECT_EQ(why_not("", model_.size(), text_), "accepted");
  const kernel::FailingMemory failing(0);
  EXPECT_EQ(why_not("", model_.size(), text_).substr(0, 14), "llm-no-memory:");
}

TEST_F(UploadTest, pieces_that_do_not_fit_change_nothing) {
  Begun begun = begin("", model_.size(), text_);
  ASSERT_TRUE(begun);
  const auto bytes = bytes_of(model_);
  ASSERT_TRUE(begun->add(0, bytes.first(10)));
  EXPECT_EQ(describe(begun->add(0, bytes.first(10))),
            "package-wrong-offset: the next byte of the model file is that at 10, given is one at 0");
  EXPECT_EQ(describe(begun->add(11, bytes.first(1))),
            "package-wrong-offset: the next byte of the model file is that at 10, given is one at 11");
  const std::string size = std::to_string(model_.size());
  EXPECT_EQ(describe(begun->add(10, bytes)),
            "package-wrong-size: the model file has " + size + " bytes, given are " + size + " at 10");
  EXPECT_EQ(describe(begun->check_complete()),
            "package-model-truncated: the model file has " + size + " bytes, 10 of them have come");
  ASSERT_TRUE(begun->add(10, bytes.subspan(10)));
  EXPECT_TRUE(begun->check_complete());
  EXPECT_EQ(describe(begun->add(model_.size(), bytes.first(1))).substr(0, 19), "package-wrong-size:");
  EXPECT_TRUE(std::ranges::equal(begun->file(), bytes));
}

}  // namespace
}  // namespace guest::llm
