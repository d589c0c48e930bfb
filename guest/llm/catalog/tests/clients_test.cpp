#include "guest/llm/catalog/clients.hpp"

#include <gtest/gtest.h>

#include <string>

namespace guest::llm {
namespace {

TEST(Clients, token_goes_before_the_way_that_it_came) {
  Clients clients;
  ASSERT_TRUE(clients.add("control", 1));
  ASSERT_TRUE(clients.add("token:batch", 2));
  ASSERT_TRUE(clients.add("tasks", 3));
  EXPECT_EQ(clients.class_of(OwnerKind::Connection), 1U);
  EXPECT_EQ(clients.class_of(OwnerKind::Connection, "other"), 1U);
  EXPECT_EQ(clients.class_of(OwnerKind::Connection, "batch"), 2U);
  EXPECT_EQ(clients.class_of(OwnerKind::Task), 3U);
  EXPECT_EQ(clients.class_of(OwnerKind::Shell), 0U);
  EXPECT_EQ(clients.class_of(OwnerKind::Kernel), 0U);
}

TEST(Clients, nobody_is_in_two_classes_and_there_is_an_end) {
  Clients clients;
  EXPECT_TRUE(clients.add("shell", 1));
  EXPECT_FALSE(clients.add("shell", 2));
  for (std::size_t i = 1; i < Clients::kMaxMembers; ++i) {
    ASSERT_TRUE(clients.add("token:" + std::to_string(i), 0));
  }
  EXPECT_FALSE(clients.add("graphs", 1));
  EXPECT_EQ(clients.class_of(OwnerKind::Shell), 1U);
}

TEST(Owners, ids_of_two_kinds_differ) {
  EXPECT_EQ(owner_id(OwnerKind::Kernel), 0U);
  EXPECT_NE(owner_id(OwnerKind::Connection, 7), owner_id(OwnerKind::Graph, 7));
  EXPECT_NE(owner_id(OwnerKind::Shell, ~std::uint32_t{0}), owner_id(OwnerKind::Connection));
}

}  // namespace
}  // namespace guest::llm
