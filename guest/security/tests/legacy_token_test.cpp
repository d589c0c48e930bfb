// The 64-bit tokens of protocol version 0.
#include "authority_fixture.hpp"

namespace guest::security::testing {
namespace {

constexpr std::uint64_t kAdmin = 0x1122'3344'5566'7788;
constexpr std::uint64_t kSubmit = 0x8877'6655'4433'2211;

TEST_F(AuthorityTest, without_legacy_tokens_nobody_is_accepted) {
  EXPECT_EQ(authority.accept_legacy(0, false).error(), TokenError::Invalid);
  EXPECT_EQ(authority.accept_legacy(kAdmin, true).error(), TokenError::Invalid);
  EXPECT_FALSE(authority.legacy_fingerprint(Legacy::Admin));
}

TEST_F(AuthorityTest, legacy_tokens_give_their_rights) {
  ASSERT_TRUE(authority.set_legacy(Legacy::Admin, kAdmin));
  ASSERT_TRUE(authority.set_legacy(Legacy::Submit, kSubmit));
  EXPECT_EQ(authority.rights(*authority.accept_legacy(kAdmin, false), 0), Rights::All);
  EXPECT_EQ(authority.rights(*authority.accept_legacy(kSubmit, false), 0), Rights::Observe | Rights::Submit);
  EXPECT_EQ(authority.accept_legacy(kAdmin ^ (std::uint64_t{1} << 63), false).error(), TokenError::Invalid);
  EXPECT_NE(authority.legacy_fingerprint(Legacy::Admin), authority.legacy_fingerprint(Legacy::Submit));
}

TEST_F(AuthorityTest, new_legacy_token_ends_the_grants_of_the_old_one_only) {
  ASSERT_TRUE(authority.set_legacy(Legacy::Admin, kAdmin));
  ASSERT_TRUE(authority.set_legacy(Legacy::Submit, kSubmit));
  const Grant admin = *authority.accept_legacy(kAdmin, false);
  const Grant submit = *authority.accept_legacy(kSubmit, false);
  const auto token = authority.make_legacy(Legacy::Admin, 1);
  ASSERT_TRUE(token);
  EXPECT_EQ(ended(admin), TokenError::Revoked);
  EXPECT_EQ(authority.accept_legacy(kAdmin, false).error(), TokenError::Invalid);
  EXPECT_TRUE(authority.accept_legacy(*token, false));
  EXPECT_TRUE(authority.rights(submit, 0));
  ASSERT_TRUE(authority.set_legacy(Legacy::Submit, std::nullopt));
  EXPECT_EQ(ended(submit), TokenError::Revoked);
  EXPECT_EQ(authority.accept_legacy(kSubmit, false).error(), TokenError::Invalid);
}

TEST_F(AuthorityTest, development_token_counts_only_where_it_is_allowed) {
  EXPECT_EQ(authority.accept_legacy(kDevelopmentToken, false).error(), TokenError::Invalid);
  const auto grant = authority.accept_legacy(kDevelopmentToken, true);
  ASSERT_TRUE(grant);
  EXPECT_EQ(authority.rights(*grant, kNow), Rights::All);
}

TEST_F(AuthorityTest, legacy_tokens_that_are_no_secret_are_refused) {
  ASSERT_TRUE(authority.set_legacy(Legacy::Admin, kAdmin));
  EXPECT_EQ(authority.set_legacy(Legacy::Submit, 0).error(), AuthorityError::Zero);
  EXPECT_EQ(authority.set_legacy(Legacy::Submit, kDevelopmentToken).error(), AuthorityError::Development);
  EXPECT_EQ(authority.set_legacy(Legacy::Submit, kAdmin).error(), AuthorityError::SameTwice);
  EXPECT_EQ(authority.accept_legacy(0, false).error(), TokenError::Invalid);
  EXPECT_TRUE(authority.accept_legacy(kAdmin, false));  // what was there stays
}

TEST_F(AuthorityTest, rotation_of_the_key_leaves_legacy_tokens) {
  ASSERT_TRUE(authority.set_legacy(Legacy::Admin, kAdmin));
  const Grant grant = *authority.accept_legacy(kAdmin, false);
  ASSERT_TRUE(authority.rotate(std::nullopt, 1));
  EXPECT_TRUE(authority.rights(grant, kNow));
}

}  // namespace
}  // namespace guest::security::testing
