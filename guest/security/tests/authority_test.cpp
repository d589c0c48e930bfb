// Tokens of version 1, and the key they are made under.
#include "authority_fixture.hpp"

#include <set>
#include <string>

namespace guest::security::testing {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST_F(AuthorityTest, token_of_the_host_gives_its_rights) {
  const Grant grant = accept(host_token(5, Rights::Observe | Rights::Submit));
  EXPECT_EQ(authority.rights(grant, kNow), Rights::Observe | Rights::Submit);
  ASSERT_EQ(authority.tokens().size(), 1U);
  EXPECT_EQ(authority.tokens()[0].fields.id, 5U);
  EXPECT_FALSE(authority.tokens()[0].made_here);
  accept(host_token(5));
  EXPECT_EQ(authority.tokens()[0].uses, 2U);
  EXPECT_EQ(authority.tokens()[0].fields.rights, Rights::All);
}

TEST_F(AuthorityTest, wrong_tokens_are_told_apart_only_where_their_mac_is_right) {
  EXPECT_EQ(refusal(host_token(5, Rights::All, 0, key_of(2))), TokenError::Invalid);
  EXPECT_EQ(refusal(host_token(5, static_cast<Rights>(8))), TokenError::Invalid);
  EXPECT_EQ(refusal(host_token(5, Rights::All, kNow)), TokenError::Expired);
  EXPECT_EQ(refusal(host_token(5, Rights::All, kNow), 0), TokenError::NoClock);
  EXPECT_EQ(authority.tokens().size(), 0U);
}

TEST_F(AuthorityTest, grant_ends_when_its_token_expires) {
  const Grant grant = accept(host_token(5, Rights::All, kNow + 1));
  EXPECT_TRUE(authority.rights(grant, kNow));
  EXPECT_EQ(ended(grant, kNow + 1), TokenError::Expired);
}

TEST_F(AuthorityTest, revocation_ends_grants_and_refuses_the_token) {
  const Grant grant = accept(host_token(5));
  const Grant other = accept(host_token(6));
  const auto revoked = authority.revoke(5, kNow);
  ASSERT_TRUE(revoked);
  EXPECT_TRUE(revoked->known);
  EXPECT_EQ(revoked->count, 1U);
  EXPECT_EQ(ended(grant), TokenError::Revoked);
  EXPECT_EQ(refusal(host_token(5)), TokenError::Revoked);
  EXPECT_TRUE(authority.rights(other, kNow));
  EXPECT_EQ(authority.revoke(5, kNow)->count, 0U);
}

TEST_F(AuthorityTest, token_can_be_revoked_before_it_is_seen) {
  EXPECT_FALSE(authority.revoke(5, kNow)->known);
  EXPECT_EQ(refusal(host_token(5)), TokenError::Revoked);
}

TEST_F(AuthorityTest, made_token_has_an_id_of_its_own_and_is_accepted) {
  const auto token = make(kConsole, {.rights = Rights::Submit, .ttl_ns = kSecond, .name = "ci"});
  EXPECT_EQ(token.id, kFirstOwnId);
  EXPECT_EQ(token.expires_unix_ns, kNow + kSecond);
  EXPECT_EQ(make(kConsole, {.rights = Rights::Submit}).id, kFirstOwnId + 1);
  const Grant grant = accept(raw(token));
  EXPECT_EQ(authority.rights(grant, kNow), Rights::Submit);
  EXPECT_EQ(authority.tokens()[0].name.view(), "ci");
  EXPECT_EQ(authority.tokens()[0].uses, 1U);
  EXPECT_EQ(ended(grant, kNow + kSecond), TokenError::Expired);
}

TEST_F(AuthorityTest, maker_gives_nothing_that_it_has_not) {
  const Principal submit = {.rights = Rights::Submit, .token = 5, .expires_unix_ns = kNow + kSecond};
  EXPECT_EQ(make_refusal(submit, {.rights = Rights::Observe}), AuthorityError::MoreRights);
  EXPECT_EQ(make_refusal(submit, {.rights = Rights::Submit | Rights::Admin}), AuthorityError::MoreRights);
  EXPECT_EQ(make_refusal(submit, {.rights = Rights::None}), AuthorityError::NoRights);
  EXPECT_EQ(make_refusal(submit, {.rights = Rights::Submit, .ttl_ns = kSecond + 1}), AuthorityError::Outlives);
  EXPECT_EQ(make_refusal(kConsole, {.rights = Rights::Submit, .ttl_ns = ~std::uint64_t{0}}), AuthorityError::Outlives);
  EXPECT_EQ(make_refusal(kConsole, {.rights = Rights::Submit, .ttl_ns = 1}, 0), AuthorityError::NoClock);
  EXPECT_EQ(authority.tokens().size(), 0U);
  EXPECT_EQ(make(submit, {.rights = Rights::Submit}).expires_unix_ns, kNow + kSecond);  // as long as its maker's
}

TEST_F(AuthorityTest, revocation_takes_what_was_made_with_the_token) {
  const Grant parent = accept(host_token(5));
  const Grant child = accept(raw(make(holder(parent), {.rights = Rights::Submit})));
  const Grant grandchild = accept(raw(make(holder(child), {.rights = Rights::Submit})));
  const Grant stranger = accept(raw(make(kConsole, {.rights = Rights::Submit})));
  EXPECT_EQ(authority.revoke(5, kNow)->count, 3U);
  EXPECT_EQ(ended(child), TokenError::Revoked);
  EXPECT_EQ(ended(grandchild), TokenError::Revoked);
  EXPECT_TRUE(authority.rights(stranger, kNow));
}

TEST_F(AuthorityTest, rotation_revokes_everything_of_the_old_key) {
  const Grant of_host = accept(host_token(5));
  const Raw made = raw(make(kConsole, {.rights = Rights::Submit}));
  const Grant of_machine = accept(made);
  const auto before = authority.key_fingerprint();
  const auto key = authority.rotate(std::nullopt, 77);
  ASSERT_TRUE(key);
  EXPECT_NE(*key, key_of(1));
  EXPECT_NE(authority.key_fingerprint(), before);
  EXPECT_EQ(ended(of_host), TokenError::Revoked);
  EXPECT_EQ(ended(of_machine), TokenError::Revoked);
  EXPECT_EQ(refusal(host_token(5)), TokenError::Invalid);
  EXPECT_EQ(refusal(made), TokenError::Invalid);
  EXPECT_EQ(authority.tokens().size(), 0U);
  EXPECT_TRUE(authority.rights(accept(host_token(5, Rights::All, 0, *key)), kNow));
}

TEST_F(AuthorityTest, rotation_back_to_an_old_key_does_not_bring_grants_back) {
  const Grant grant = accept(host_token(5));
  ASSERT_TRUE(authority.rotate(key_of(2), 0));
  ASSERT_EQ(*authority.rotate(key_of(1), 0), key_of(1));
  EXPECT_EQ(ended(grant), TokenError::Revoked);
  EXPECT_TRUE(authority.rights(accept(host_token(5)), kNow));
}

TEST(AuthorityWithoutSecrets, says_what_it_cannot_do) {
  Authority authority(std::nullopt, std::nullopt);
  EXPECT_EQ(authority.accept(host_token(5), kNow).error(), TokenError::NoKey);
  EXPECT_EQ(authority.make(kConsole, {.rights = Rights::All}, kNow).error(), AuthorityError::NoKey);
  EXPECT_EQ(authority.rotate(std::nullopt, 0).error(), AuthorityError::NoSeed);
  EXPECT_EQ(authority.make_legacy(Legacy::Admin, 0).error(), AuthorityError::NoSeed);
  EXPECT_FALSE(authority.key_fingerprint());
  ASSERT_TRUE(authority.rotate(key_of(1), 0));
  EXPECT_TRUE(authority.accept(host_token(5), kNow));
}

TEST_F(AuthorityTest, tokens_that_were_only_seen_make_room) {
  for (std::uint32_t id = 1; id <= kMaxTokens; ++id) {
    accept(host_token(id));
  }
  accept(host_token(1));  // so that 2 is the one whose last use is the longest ago
  accept(host_token(1000));
  ASSERT_EQ(authority.tokens().size(), kMaxTokens);
  EXPECT_TRUE(authority.revoke(1, kNow)->known);
  EXPECT_FALSE(authority.revoke(2, kNow)->known);
}

TEST_F(AuthorityTest, full_table_refuses_to_forget_and_lets_the_host_in) {
  for (std::size_t i = 0; i < kMaxTokens - 1; ++i) {
    make(kConsole, {.rights = Rights::Observe});
  }
  ASSERT_TRUE(authority.revoke(1, kNow));
  EXPECT_EQ(make_refusal(kConsole, {.rights = Rights::Observe}), AuthorityError::Full);
  EXPECT_EQ(authority.revoke(2, kNow).error(), AuthorityError::Full);
  EXPECT_TRUE(authority.rights(accept(host_token(2)), kNow));
  EXPECT_EQ(refusal(host_token(1)), TokenError::Revoked);
  EXPECT_EQ(authority.revoke(kFirstOwnId, kNow)->count, 1U);
}

TEST_F(AuthorityTest, makers_without_admin_are_left_half_of_the_table) {
  const Principal submit = {.rights = Rights::Submit, .token = 5};
  for (std::size_t i = 0; i < kMaxTokens / 2; ++i) {
    make(submit, {.rights = Rights::Submit});
  }
  EXPECT_EQ(make_refusal(submit, {.rights = Rights::Submit}), AuthorityError::Full);
  make(kConsole, {.rights = Rights::Submit});
}

TEST_F(AuthorityTest, expired_tokens_make_room_and_are_no_longer_counted_as_revoked) {
  make(kConsole, {.rights = Rights::Observe, .ttl_ns = kSecond});
  ASSERT_EQ(authority.revoke(kFirstOwnId, kNow)->count, 1U);
  for (std::size_t i = 1; i < kMaxTokens; ++i) {
    make(kConsole, {.rights = Rights::Observe});
  }
  const std::uint64_t later = kNow + kSecond;
  EXPECT_TRUE(authority.make(kConsole, {.rights = Rights::Observe}, later));
  EXPECT_EQ(authority.make(kConsole, {.rights = Rights::Observe}, later).error(), AuthorityError::Full);
  EXPECT_EQ(authority.revoke(kFirstOwnId + 1, later)->count, 1U);
}

TEST_F(AuthorityTest, watcher_hears_of_revocation_and_rotation) {
  class Watcher final : public Authority::Watcher {
   public:
    void grants_changed() override { ++heard; }
    unsigned heard = 0;
  } watcher;
  authority.set_watcher(&watcher);
  ASSERT_TRUE(authority.revoke(5, kNow));
  ASSERT_TRUE(authority.rotate(key_of(2), 0));
  ASSERT_TRUE(authority.set_legacy(Legacy::Admin, 0x1234));
  EXPECT_EQ(watcher.heard, 3U);
}

TEST(AuthorityWords, every_error_has_its_own) {
  std::set<std::string> words;
  for (unsigned i = 0; i <= static_cast<unsigned>(AuthorityError::SameTwice); ++i) {
    words.emplace(to_string(static_cast<AuthorityError>(i)));
  }
  for (unsigned i = 0; i <= static_cast<unsigned>(TokenError::Revoked); ++i) {
    words.emplace(to_string(static_cast<TokenError>(i)));
  }
  EXPECT_EQ(words.size(), 15U);
  EXPECT_EQ(words.count("unknown"), 0U);
  EXPECT_NE(to_string(AuthorityError::Full).find("rotate"), std::string_view::npos);
}

}  // namespace
}  // namespace guest::security::testing
