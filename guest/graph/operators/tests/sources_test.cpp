#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

template <typename T>
std::vector<T> expected_numbers(std::string_view pattern, std::uint64_t number, std::size_t count, std::uint64_t mask) {
  std::vector<T> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(static_cast<T>((number + (pattern == "ramp" ? i : 0)) & mask));
  }
  return values;
}

template <typename T>
void check_numbers_of(const std::string& dtype, std::uint64_t mask) {
  for (const std::string pattern : {"counter", "ramp"}) {
    KindFixture with("synthetic-source", {{"dtype", dtype}, {"pattern", pattern}, {"elements", "301"}}, 0, 1);
    ASSERT_EQ(with.refusal, "");
    for (std::uint64_t number = 0; number < 3; ++number) {
      ASSERT_EQ(with.fire(), "ok");
      const TensorRef made = with.take();
      EXPECT_EQ(to_string(made.info().dtype), dtype);
      EXPECT_EQ(KindFixture::dims(made), (std::vector<std::uint32_t>{301}));
      EXPECT_EQ(KindFixture::values<T>(made), expected_numbers<T>(pattern, number, 301, mask)) << dtype << pattern;
      EXPECT_EQ(made.info().sequence, number);
      EXPECT_EQ(made.info().origin, KindFixture::kId);
      EXPECT_EQ(made.info().timestamp_ns, with.now_ns);
    }
  }
}

TEST(SyntheticSource, makes_counters_and_ramps_of_every_type) {
  check_numbers_of<std::uint8_t>("u8", 0xff);
  check_numbers_of<std::int8_t>("i8", 0xff);
  check_numbers_of<std::uint16_t>("u16", 0xffff);
  check_numbers_of<std::int16_t>("i16", 0xffff);
  check_numbers_of<std::uint32_t>("u32", 0xffff'ffff);
  check_numbers_of<std::int32_t>("i32", 0xffff'ffff);
  check_numbers_of<std::uint64_t>("u64", ~std::uint64_t{0});
  check_numbers_of<std::int64_t>("i64", ~std::uint64_t{0});
  check_numbers_of<float>("f32", 0xff'ffff);
  check_numbers_of<double>("f64", 0xff'ffff);
}

TEST(SyntheticSource, noise_depends_on_seed_number_and_element_only) {
  const auto noise = [](const std::string& seed, int number) {
    KindFixture with("synthetic-source", {{"dtype", "u64"}, {"pattern", "noise"}, {"elements", "64"}, {"seed", seed}},
                     0, 1);
    for (int i = 0; i < number; ++i) {
      EXPECT_EQ(with.fire(), "ok");
      (void)with.take();
    }
    EXPECT_EQ(with.fire(), "ok");
    return KindFixture::values<std::uint64_t>(with.take());
  };
  EXPECT_EQ(noise("1", 0), noise("1", 0));
  EXPECT_NE(noise("1", 0), noise("1", 1));
  EXPECT_NE(noise("1", 0), noise("2", 0));
  std::vector<std::uint64_t> sorted = noise("1", 0);
  std::ranges::sort(sorted);
  EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
  // From another implementation of SplitMix64: all builds and machines make the same.
  EXPECT_EQ(noise("1", 0).front(), 12793040940332582595U);
}

TEST(SyntheticSource, says_when_it_was_the_last_time) {
  KindFixture with("synthetic-source", {{"count", "2"}}, 0, 1);
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(with.fire(), "finished");
}

TEST(SyntheticSource, that_has_no_memory_fails) {
  KindFixture with("synthetic-source", {{"elements", "8000000"}}, 0, 1);
  EXPECT_EQ(with.fire().substr(0, 58), "graph-no-memory: no room for a tensor of 8000000 bytes: 0 ");
}

}  // namespace
}  // namespace guest::graph
