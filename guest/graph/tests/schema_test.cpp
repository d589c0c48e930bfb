#include "guest/graph/schema.hpp"

#include <gtest/gtest.h>

#include <string>

#include "arena_fixture.hpp"

namespace guest::graph {
namespace {

using kernel::Status;

TEST(SchemaNames, are_1_to_32_bytes_of_a_small_alphabet) {
  for (const std::string& good : {std::string("a"), std::string("z0-9._"), std::string(32, 'x')}) {
    EXPECT_TRUE(is_schema_name(good)) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string(33, 'x'), std::string("A"), std::string("a b"), std::string("a\n"),
        std::string("a\0b", 3), std::string("\xC3\xA4"), std::string("a/b")}) {
    EXPECT_FALSE(is_schema_name(bad)) << bad;
  }
}

TEST(SchemaRegistry, knows_text_and_tokens_from_the_start) {
  const SchemaRegistry registry;
  EXPECT_EQ(registry.find("text"), 1001U);
  EXPECT_EQ(registry.find("tokens"), 1002U);
  EXPECT_EQ(registry.name_of(1001), "text");
  EXPECT_EQ(registry.size(), 2U);
}

TEST(SchemaRegistry, gives_ids_from_2000_on_and_the_same_one_to_the_same_name) {
  SchemaRegistry registry;
  EXPECT_EQ(registry.add("image.gray"), 2000U);
  EXPECT_EQ(registry.add("image.rgb"), 2001U);
  EXPECT_EQ(registry.add("image.gray"), 2000U);
  EXPECT_EQ(registry.add("text"), kSchemaText);
  EXPECT_EQ(registry.size(), 4U);
}

TEST(SchemaRegistry, does_not_give_an_id_that_was_asked_for) {
  SchemaRegistry registry;
  EXPECT_EQ(registry.add("one", 2000), 2000U);
  EXPECT_EQ(registry.add("two", 7), 7U);
  EXPECT_EQ(registry.add("three"), 2001U);
  EXPECT_EQ(registry.add("two"), 7U);
}

TEST(SchemaRegistry, refuses_another_id_for_a_name_and_another_name_for_an_id) {
  SchemaRegistry registry;
  ASSERT_EQ(registry.add("one", 3000), 3000U);
  EXPECT_EQ(registry.add("one", 3000), 3000U);
  EXPECT_EQ(registry.add("one", 3001).error(), Status::Exists);
  EXPECT_EQ(registry.add("two", 3000).error(), Status::Exists);
  EXPECT_EQ(registry.add("words", kSchemaText).error(), Status::Exists);
  EXPECT_EQ(registry.add("text", 5).error(), Status::Exists);
  EXPECT_EQ(registry.add("zero", kUntyped).error(), Status::OutOfRange);
  EXPECT_EQ(registry.add("Two").error(), Status::Invalid);
  EXPECT_EQ(registry.add("Two", 3001).error(), Status::Invalid);
  EXPECT_EQ(registry.find("two").error(), Status::NotFound);
  EXPECT_EQ(registry.name_of(3001), "");
  EXPECT_EQ(registry.size(), 3U);
}

TEST(SchemaRegistry, that_is_full_refuses_new_names_only) {
  SchemaRegistry registry;
  for (std::size_t i = registry.size(); i < SchemaRegistry::kMaxSchemas; ++i) {
    ASSERT_TRUE(registry.add("schema-" + std::to_string(i)));
  }
  EXPECT_EQ(registry.add("another").error(), Status::NoMemory);
  EXPECT_EQ(registry.add("another", 5000).error(), Status::NoMemory);
  EXPECT_EQ(registry.add("schema-2"), 2000U);
  std::size_t visited = 0;
  registry.for_each([&](std::uint32_t id, std::string_view name) { visited += registry.find(name) == id ? 1 : 0; });
  EXPECT_EQ(visited, SchemaRegistry::kMaxSchemas);
}

class Binding : public ::testing::Test {
 protected:
  ArenaFixture with{1, 64};
  Channel::Slot slots[2];
  Channel channel{3, slots, ChannelPolicy::Block, with.arena};
};

TEST_F(Binding, the_first_one_binds) {
  EXPECT_EQ(channel.schema(), kUntyped);
  EXPECT_EQ(bind_channel(channel, kSchemaText).outcome, BindOutcome::Bound);
  EXPECT_EQ(channel.schema(), kSchemaText);
  EXPECT_EQ(bind_channel(channel, kSchemaText).outcome, BindOutcome::Same);
}

TEST_F(Binding, a_mismatch_says_what_was_expected_and_given_and_changes_nothing) {
  ASSERT_EQ(bind_channel(channel, kSchemaText).outcome, BindOutcome::Bound);
  const BindResult result = bind_channel(channel, kSchemaTokens);
  EXPECT_EQ(result.outcome, BindOutcome::Mismatch);
  EXPECT_EQ(result.expected, kSchemaText);
  EXPECT_EQ(result.given, kSchemaTokens);
  EXPECT_EQ(channel.schema(), kSchemaText);
}

TEST_F(Binding, who_does_not_care_binds_nothing_and_mismatches_nothing) {
  EXPECT_EQ(bind_channel(channel, kUntyped).outcome, BindOutcome::Same);
  EXPECT_EQ(channel.schema(), kUntyped);
  ASSERT_EQ(bind_channel(channel, 2000).outcome, BindOutcome::Bound);
  EXPECT_EQ(bind_channel(channel, kUntyped).outcome, BindOutcome::Same);
}

TEST_F(Binding, a_check_says_the_same_and_changes_nothing) {
  EXPECT_EQ(check_binding(channel, 2000).outcome, BindOutcome::Bound);
  EXPECT_EQ(channel.schema(), kUntyped);
  ASSERT_EQ(bind_channel(channel, 2000).outcome, BindOutcome::Bound);
  EXPECT_EQ(check_binding(channel, 2001).outcome, BindOutcome::Mismatch);
  EXPECT_EQ(check_binding(channel, 2001).expected, 2000U);
}

TEST_F(Binding, can_be_taken_back_by_who_made_it) {
  ASSERT_EQ(bind_channel(channel, 2000).outcome, BindOutcome::Bound);
  EXPECT_FALSE(channel.unbind_schema(2001));
  EXPECT_EQ(channel.schema(), 2000U);
  EXPECT_TRUE(channel.unbind_schema(2000));
  EXPECT_EQ(channel.schema(), kUntyped);
}

TEST(SchemaRegistry, what_was_just_registered_can_be_taken_back) {
  SchemaRegistry schemas;
  ASSERT_TRUE(schemas.add("image", 7).has_value());
  schemas.take_back(7);
  EXPECT_TRUE(schemas.name_of(7).empty());
  EXPECT_EQ(schemas.size(), 2U);
  EXPECT_TRUE(schemas.add("other", 7).has_value());
}

}  // namespace
}  // namespace guest::graph
