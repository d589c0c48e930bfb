// window, join, split, load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "guest/graph/operators/services.hpp"
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

TensorRef numbered(KindFixture& with, std::uint8_t number) {
  return with.tensor<std::uint8_t>(DType::U8, {2}, {number, static_cast<std::uint8_t>(number + 100)}, number,
                                   1000 + std::uint64_t{number});
}

/// The first elements of the tensors that windows of 8 inputs are made of.
std::vector<std::vector<int>> windows(const std::string& size, const std::string& step) {
  KindFixture with("window", {{"size", size}, {"step", step}}, 1, 1);
  std::vector<std::vector<int>> all;
  for (std::uint8_t i = 0; i < 8; ++i) {
    with.put(0, numbered(with, i));
    EXPECT_EQ(with.fire(), "ok");
    if (const TensorRef made = with.take()) {
      const auto bytes = KindFixture::values<std::uint8_t>(made);
      EXPECT_EQ(KindFixture::dims(made), (std::vector<std::uint32_t>{static_cast<std::uint32_t>(bytes.size() / 2), 2}));
      EXPECT_EQ(made.info().timestamp_ns, 1000U + bytes[0]);
      std::vector<int> firsts;
      for (std::size_t at = 0; at < bytes.size(); at += 2) {
        firsts.push_back(bytes[at]);
        EXPECT_EQ(bytes[at + 1], bytes[at] + 100);
      }
      all.push_back(firsts);
    }
  }
  return all;
}

TEST(Window, moves_on_by_its_step) {
  using Windows = std::vector<std::vector<int>>;
  EXPECT_EQ(windows("3", "1"), (Windows{{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {4, 5, 6}, {5, 6, 7}}));
  EXPECT_EQ(windows("3", "2"), (Windows{{0, 1, 2}, {2, 3, 4}, {4, 5, 6}}));
  EXPECT_EQ(windows("2", "2"), (Windows{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  EXPECT_EQ(windows("2", "3"), (Windows{{0, 1}, {3, 4}, {6, 7}}));
  EXPECT_EQ(windows("1", "5"), (Windows{{0}, {5}}));
  EXPECT_EQ(windows("9", "1"), Windows{});
}

TEST(Window, lets_go_of_what_it_keeps_when_a_run_begins) {
  KindFixture with("window", {{"size", "3"}}, 1, 1);
  with.put(0, numbered(with, 1));
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_EQ(with.graph->arena().statistics().live, 1U);
  with.op->code().begin(0);
  EXPECT_EQ(with.graph->arena().statistics().live, 0U);
}

TEST(Window, counts_the_bytes_that_it_copies) {
  KindFixture with("window", {{"size", "2"}}, 1, 1);
  for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}}) {
    with.put(0, numbered(with, number));
    ASSERT_EQ(with.fire(), "ok");
  }
  EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 4U);
}

TEST(Window, refuses_tensors_that_differ) {
  KindFixture with("window", {{"size", "3"}}, 1, 1);
  with.put(0, numbered(with, 1));
  ASSERT_EQ(with.fire(), "ok");
  with.put(0, with.bytes({3}, {1, 2, 3}));
  EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected u8 [2], given u8 [3]");
  with.put(0, with.tensor<std::int8_t>(DType::I8, {2}, {1, 2}));
  EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected u8 [2], given i8 [2]");
  with.put(0, with.bytes({1, 1, 1, 1}, {1}));
  EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected at most 3 dimensions, given u8 [1, 1, 1, 1]");
}

TEST(Join, puts_tensors_behind_each_other_or_on_each_other) {
  for (const std::string mode : {"concat", "stack"}) {
    KindFixture with("join", {{"mode", mode}}, 3, 1);
    for (std::uint8_t port = 0; port < 3; ++port) {
      with.put(port, with.bytes({2, 2}, {port, 1, 2, 3}));
    }
    ASSERT_EQ(with.fire(), "ok");
    const TensorRef made = with.take();
    EXPECT_EQ(KindFixture::dims(made),
              mode == "stack" ? (std::vector<std::uint32_t>{3, 2, 2}) : (std::vector<std::uint32_t>{6, 2}));
    EXPECT_EQ(KindFixture::values<std::uint8_t>(made), (std::vector<std::uint8_t>{0, 1, 2, 3, 1, 1, 2, 3, 2, 1, 2, 3}));
    EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 12U);
  }
}

TEST(Join, of_different_first_dimensions_one_of_them_empty) {
  KindFixture with("join", {}, 2, 1);
  with.put(0, with.tensor<std::uint16_t>(DType::U16, {0, 3}, {}));
  with.put(1, with.tensor<std::uint16_t>(DType::U16, {1, 3}, {7, 8, 9}));
  ASSERT_EQ(with.fire(), "ok");
  const TensorRef made = with.take();
  EXPECT_EQ(KindFixture::dims(made), (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(KindFixture::values<std::uint16_t>(made), (std::vector<std::uint16_t>{7, 8, 9}));
}

TEST(Join, is_as_old_as_the_oldest) {
  KindFixture with("join", {}, 2, 1);
  with.put(0, numbered(with, 9));
  with.put(1, numbered(with, 4));
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_EQ(with.take().info().timestamp_ns, 1004U);
}

TEST(Join, refuses_tensors_that_do_not_fit) {
  const auto refusal = [](const std::string& mode, auto make_first, auto make_second) {
    KindFixture with("join", {{"mode", mode}}, 2, 1);
    with.put(0, make_first(with));
    with.put(1, make_second(with));
    return with.fire();
  };
  const auto pair = [](KindFixture& with) { return with.bytes({1, 2}, {1, 2}); };
  const auto triple = [](KindFixture& with) { return with.bytes({1, 3}, {1, 2, 3}); };
  const auto flat = [](KindFixture& with) { return with.bytes({2}, {1, 2}); };
  const auto scalar = [](KindFixture& with) { return with.bytes({}, {1}); };
  const auto deep = [](KindFixture& with) { return with.bytes({1, 1, 1, 1}, {1}); };
  const auto others = [](KindFixture& with) { return with.tensor<std::int8_t>(DType::I8, {1, 2}, {1, 2}); };
  // 2^32 - 1 rows of nothing.
  const auto many = [](KindFixture& with) { return with.bytes({0xffff'ffff, 0}, {}); };
  EXPECT_EQ(refusal("concat", pair, triple),
            "graph-bad-input: input 1: expected u8 [1, 2], the first dimension any, given u8 [1, 3]");
  EXPECT_EQ(refusal("concat", pair, flat),
            "graph-bad-input: input 1: expected u8 [1, 2], the first dimension any, given u8 [2]");
  EXPECT_EQ(refusal("concat", pair, others),
            "graph-bad-input: input 1: expected u8 [1, 2], the first dimension any, given i8 [1, 2]");
  EXPECT_EQ(refusal("concat", scalar, scalar), "graph-bad-input: input 0: expected at least 1 dimension, given u8 []");
  EXPECT_EQ(refusal("concat", many, many),
            "graph-bad-input: input 1: expected first dimensions below 2^32 together, given u8 [4294967295, 0]");
  EXPECT_EQ(refusal("stack", pair, triple), "graph-bad-input: input 1: expected u8 [1, 2], given u8 [1, 3]");
  EXPECT_EQ(refusal("stack", deep, deep),
            "graph-bad-input: input 0: expected at most 3 dimensions, given u8 [1, 1, 1, 1]");
}

TEST(Split, shares_one_tensor_among_all_outputs) {
  KindFixture with("split", {}, 1, 8);
  with.put(0, numbered(with, 5));
  ASSERT_EQ(with.fire(), "ok");
  const TensorRef first = with.take(0);
  for (std::uint32_t port = 1; port < 8; ++port) {
    EXPECT_EQ(with.take(port).handle(), first.handle());
  }
  EXPECT_TRUE(first.unique());
  EXPECT_EQ(with.graph->arena().statistics().bytes_copied, 0U);
}

TEST(Split, takes_turns) {
  KindFixture with("split", {{"mode", "round-robin"}}, 1, 3);
  for (std::uint8_t number = 0; number < 7; ++number) {
    with.put(0, numbered(with, number));
    ASSERT_EQ(with.fire(), "ok");
    for (std::uint32_t port = 0; port < 3; ++port) {
      EXPECT_EQ(static_cast<bool>(with.take(port)), port == number % 3U);
    }
  }
  with.op->code().begin(0);
  with.put(0, numbered(with, 0));
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_TRUE(with.take(0));
}

/// 10 ns for each look, 100 ns for each spin.
class FakeProcessor final : public ProcessorTime {
 public:
  std::uint64_t used_ns() override { return used += 10; }
  void spin() override { used += 100; }
  std::uint64_t used = 5000;
};

TEST(Load, takes_the_time_that_it_was_told_to_and_passes_on_what_came) {
  FakeProcessor processor;
  set_operator_services({.processor = &processor});
  KindFixture with("load", {{"us", "3"}}, 1, 1);
  TensorRef input = numbered(with, 1);
  const TensorHandle handle = input.handle();
  with.put(0, std::move(input));
  const std::uint64_t before = processor.used;
  ASSERT_EQ(with.fire(), "ok");
  EXPECT_GE(processor.used - before, 3000U);
  EXPECT_LE(processor.used - before, 3000U + 2 * 110);
  EXPECT_EQ(with.take().handle(), handle);
  set_operator_services({});
}

TEST(Load, needs_a_kernel_that_measures_processor_time) {
  set_operator_services({});
  EXPECT_EQ(KindFixture("load", {{"us", "3"}}, 1, 1).refusal,
            "graph-unavailable: operator 'it' (load): this kernel does not measure the processor time of operators");
}

TEST(Memory, that_is_short_is_told_and_nothing_is_added) {
  KindFixture with("load", {{"us", "3"}}, 1, 1);
  for (const std::uint32_t id : {50U, 51U}) {
    ASSERT_TRUE(with.graph->add_channel({.id = id, .capacity = 1}));
  }
  const std::uint32_t in[] = {50};
  const std::uint32_t out[] = {51};
  const auto refusal = [&](std::string_view kind, std::span<const std::uint32_t> inputs) {
    const std::size_t before = with.graph->operators().size();
    const kernel::FailingMemory memory(0);
    const auto added =
        with.graph->add_operator({.id = 9, .name = "new", .kind = kind, .inputs = inputs, .outputs = out});
    EXPECT_EQ(with.graph->operators().size(), before);
    return added ? "added" : std::string(added.error().name) + ": " + std::string(added.error().detail.view());
  };
  EXPECT_EQ(refusal("control-source", {}),
            "graph-no-memory: operator 'new' (control-source): no 32768 bytes for what is fed");
  EXPECT_THAT(refusal("mlp-classifier", in),
              ::testing::MatchesRegex("graph-no-memory: operator 'new' .mlp-classifier.: no [0-9]+ bytes for what the "
                                      "layers compute"));
}

}  // namespace
}  // namespace guest::graph
