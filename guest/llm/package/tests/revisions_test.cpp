#include "guest/llm/package/revisions.hpp"

#include <gtest/gtest.h>

#include <string>

namespace guest::llm::package {
namespace {

TEST(Revisions, newest_is_the_highest_that_was_accepted) {
  Revisions revisions;
  EXPECT_FALSE(revisions.newest("a"));
  EXPECT_TRUE(revisions.accept("a", 3));
  EXPECT_TRUE(revisions.accept("b", 1));
  EXPECT_TRUE(revisions.accept("a", 2));
  EXPECT_EQ(revisions.newest("a"), 3U);
  EXPECT_TRUE(revisions.accept("a", UINT32_MAX));
  EXPECT_EQ(revisions.newest("a"), UINT32_MAX);
  EXPECT_EQ(revisions.newest("b"), 1U);
}

TEST(Revisions, full_table_takes_no_other_id_and_forgets_none) {
  Revisions revisions;
  for (std::size_t i = 0; i < Revisions::kMaxIds; ++i) {
    ASSERT_TRUE(revisions.accept("id" + std::to_string(i), 5));
  }
  EXPECT_FALSE(revisions.accept("other", 1));
  EXPECT_FALSE(revisions.newest("other"));
  EXPECT_TRUE(revisions.accept("id0", 6));
  EXPECT_EQ(revisions.newest("id0"), 6U);
}

}  // namespace
}  // namespace guest::llm::package
