// Packages that are as they should be, and what the scenario's choices mean.
#include "guest/llm/package/verifier.hpp"

#include <gtest/gtest.h>

#include "guest/llm/package/testing/package.hpp"

namespace guest::llm::package {
namespace {

using testing::bytes_of;
using testing::describe;
using testing::kOthers;
using testing::kOurs;
using testing::manifest_of;
using testing::signed_text;

class VerifierTest : public ::testing::Test {
 protected:
  /// How a package ends; without text: one without manifest.
  std::string verdict(const Policy& policy, const std::optional<std::string>& text) {
    const auto manifest = text ? std::optional(bytes_of(*text)) : std::nullopt;
    return describe(verify(policy, revisions_, "tiny", manifest, bytes_of(model_)));
  }

  std::string model_ = testing::model_builder().bytes();
  Revisions revisions_;
  const Policy strict_{.key = kOurs.key};
};

TEST_F(VerifierTest, signed_package_is_accepted_whatever_pieces_it_comes_in) {
  const std::string text = signed_text(manifest_of(model_));
  EXPECT_EQ(verdict(strict_, text), "accepted");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{64}, model_.size()}) {
    Verifier verifier(strict_, revisions_);
    ASSERT_TRUE(verifier.begin("", bytes_of(text)));
    for (std::size_t at = 0; at < model_.size(); at += piece) {
      ASSERT_TRUE(verifier.add(bytes_of(model_).subspan(at, std::min(piece, model_.size() - at))));
    }
    ASSERT_TRUE(verifier.finish());
    EXPECT_EQ(verifier.size(), model_.size());
    EXPECT_EQ(verifier.digest(), testing::digest_of(model_));
    ASSERT_TRUE(verifier.manifest());
    EXPECT_EQ(verifier.manifest()->id.view(), "tiny");
    EXPECT_TRUE(verifier.check_model(bytes_of(model_)));
  }
}

TEST_F(VerifierTest, unsigned_package_needs_the_scenarios_leave) {
  EXPECT_EQ(verdict(strict_, std::nullopt),
            "package-unsigned: 'tiny' has no signature, and the scenario does not allow that");
  EXPECT_EQ(verdict({.key = std::nullopt}, std::nullopt).substr(0, 17), "package-unsigned:");
  EXPECT_EQ(verdict({.key = kOurs.key, .allow_unsigned = true}, std::nullopt), "accepted");
  EXPECT_EQ(verdict({.key = std::nullopt, .allow_unsigned = true}, std::nullopt), "accepted");
  model_[0] = 'g';  // what it is stays checked
  EXPECT_EQ(verdict({.key = std::nullopt, .allow_unsigned = true}, std::nullopt),
            "gguf-bad-file: the file begins with 'gGUF', expected 'GGUF'");
}

TEST_F(VerifierTest, signature_that_is_there_is_checked_where_none_is_needed) {
  Manifest manifest = manifest_of(model_);
  const std::string text = signed_text(manifest);
  manifest.key = kOthers.key;
  const std::string of_others = signed_text(manifest, kOthers);
  EXPECT_EQ(verdict({.key = std::nullopt}, text),
            "package-no-key: the scenario names no public key that 'tiny' could be checked with");
  EXPECT_EQ(verdict({.key = std::nullopt, .allow_unsigned = true}, text), "accepted");
  EXPECT_EQ(verdict({.key = std::nullopt, .allow_unsigned = true}, of_others), "accepted");
  EXPECT_EQ(verdict({.key = kOurs.key, .allow_unsigned = true}, of_others).substr(0, 18), "package-wrong-key:");
  EXPECT_EQ(verdict({.key = std::nullopt, .allow_unsigned = true}, signed_text(manifest, kOurs)).substr(0, 24),
            "package-wrong-signature:");
}

TEST_F(VerifierTest, older_revision_than_an_accepted_one_is_replayed) {
  const std::string text = signed_text(manifest_of(model_));
  EXPECT_TRUE(revisions_.accept("other", 9));
  EXPECT_TRUE(revisions_.accept("tiny", 3));
  EXPECT_EQ(verdict(strict_, text), "accepted");  // the same one again
  EXPECT_TRUE(revisions_.accept("tiny", 4));
  EXPECT_EQ(verdict(strict_, text), "package-replayed: 'tiny' is of revision 3, expected 4 or later");
}

TEST_F(VerifierTest, file_that_is_too_long_is_refused_as_soon_as_it_is) {
  const std::string text = signed_text(manifest_of(model_));
  Verifier verifier(strict_, revisions_);
  ASSERT_TRUE(verifier.begin("tiny", bytes_of(text)));
  ASSERT_TRUE(verifier.add(bytes_of(model_)));
  EXPECT_EQ(describe(verifier.add(bytes_of(model_).first(1))), "package-wrong-size: the model file has more than the " +
                                                                   std::to_string(model_.size()) +
                                                                   " bytes that the manifest says");
}

}  // namespace
}  // namespace guest::llm::package
