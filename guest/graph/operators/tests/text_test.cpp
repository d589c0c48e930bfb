// log-source, metric-source, and sinks: what goes out as text and what is checked.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>

#include "guest/graph/operators/kernel_services.hpp"
#include "guest/graph/operators/services.hpp"
#include "guest/kernel/log.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

std::string characters(const TensorRef& tensor) {
  const auto chars = KindFixture::values<char>(tensor);
  return {chars.begin(), chars.end()};
}

class FakeKernel final : public LogLines, public MetricText {
 public:
  [[nodiscard]] std::uint64_t end() const override { return first + lines.size(); }
  std::optional<Line> read(std::uint64_t from, std::span<char> into) override {
    const std::uint64_t number = std::max(from, first);
    if (number >= end()) {
      return std::nullopt;
    }
    const std::string& line = lines[number - first];
    const std::size_t bytes = std::min(line.size(), into.size());
    std::copy_n(line.begin(), bytes, into.begin());
    return Line{.next = number + 1, .bytes = bytes};
  }
  void write(kernel::TextOutput& output) override {
    for (const std::string& part : metrics) {
      output.write(part);
    }
  }
  void forget() {
    lines.pop_front();
    ++first;
  }

  std::uint64_t first = 10;
  std::deque<std::string> lines = {"old"};
  std::vector<std::string> metrics = {"one ", "1\n", "two 22\n"};
};

class KernelText : public ::testing::Test {
 protected:
  KernelText() { set_operator_services({.log_lines = &fake, .metrics = &fake}); }
  ~KernelText() override { set_operator_services({}); }
  FakeKernel fake;
};

TEST_F(KernelText, of_the_log_are_the_lines_from_the_beginning_of_the_run) {
  KindFixture with("log-source", {{"count", "3"}}, 0, 1);
  OperatorCode& code = with.op->code();
  EXPECT_EQ(code.ready_at(500), 500U + 10'000'000);
  fake.lines.emplace_back("first");
  EXPECT_EQ(code.ready_at(500), OperatorCode::kNow);
  EXPECT_EQ(with.fire(), "ok");
  const TensorRef made = with.take();
  EXPECT_EQ(characters(made), "first");
  EXPECT_EQ(made.info().schema, kSchemaText);
  EXPECT_EQ(with.fire(), "ok");  // its time has come, but no line
  EXPECT_FALSE(with.take());
  fake.lines.emplace_back("lost");
  fake.lines.emplace_back(300, 'x');
  for (int i = 0; i < 3; ++i) {
    fake.forget();
  }
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(characters(with.take()), std::string(256, 'x'));
  EXPECT_EQ(with.fire(), "ok");  // not the same once more
  EXPECT_FALSE(with.take());
  fake.lines.emplace_back("last");
  EXPECT_EQ(with.fire(), "finished");
  EXPECT_EQ(characters(with.take()), "last");
  EXPECT_EQ(code.ready_at(500), OperatorCode::kAsleep);
}

TEST_F(KernelText, of_metrics_are_whole_lines) {
  KindFixture with("metric-source", {{"count", "2"}, {"max_bytes", "64"}}, 0, 1);
  EXPECT_EQ(with.op->code().ready_at(0), with.now_ns);
  EXPECT_EQ(with.fire(), "ok");
  const TensorRef made = with.take();
  EXPECT_EQ(characters(made), "one 1\ntwo 22\n");
  EXPECT_EQ(made.info().schema, kSchemaText);
  EXPECT_EQ(with.op->code().ready_at(0), with.now_ns + 1'000'000'000);
  // 13 bytes, then a line that ends at byte 64, then one that does not fit.
  fake.metrics.push_back(std::string(50, 'y') + "\n");
  fake.metrics.emplace_back("z\n");
  EXPECT_EQ(with.fire(), "finished");
  EXPECT_EQ(characters(with.take()), "one 1\ntwo 22\n" + std::string(50, 'y') + "\n");
}

TEST_F(KernelText, that_is_one_line_too_long_for_a_tensor_is_nothing) {
  KindFixture with("metric-source", {{"max_bytes", "64"}}, 0, 1);
  fake.metrics = {std::string(64, 'y') + "\n"};
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(characters(with.take()), "");
}

TEST_F(KernelText, is_not_to_be_had_of_every_kernel) {
  set_operator_services({});
  EXPECT_EQ(KindFixture("log-source", {}, 0, 1).refusal,
            "graph-unavailable: operator 'it' (log-source): this kernel does not keep the lines of its log");
  EXPECT_EQ(KindFixture("metric-source", {}, 0, 1).refusal,
            "graph-unavailable: operator 'it' (metric-source): this kernel does not write its metrics as text");
}

TEST(KernelServices, are_the_lines_that_a_log_has_kept_and_the_counters) {
  const auto history = std::make_unique<kernel::LogHistory>();
  HistoryLines lines(*history);
  kernel::Log log;
  log.keep_lines(*history);
  log.error("before");
  kernel::Counter one("one"), two("two");
  kernel::CounterRegistry counters;
  ASSERT_TRUE(counters.add(one) && counters.add(two));
  two.add(22);
  CounterText metrics(counters);
  set_operator_services({.log_lines = &lines, .metrics = &metrics});
  KindFixture log_source("log-source", {}, 0, 1);
  KindFixture metric_source("metric-source", {}, 0, 1);
  log.error("after");
  log.error("");
  EXPECT_EQ(log_source.op->code().ready_at(5), OperatorCode::kNow);
  EXPECT_EQ(log_source.fire(), "ok");
  EXPECT_EQ(characters(log_source.take()), "after");
  EXPECT_EQ(log_source.fire(), "ok");
  EXPECT_EQ(characters(log_source.take()), "");
  EXPECT_NE(log_source.op->code().ready_at(5), OperatorCode::kNow);
  EXPECT_EQ(metric_source.fire(), "ok");
  EXPECT_EQ(characters(metric_source.take()), "one 0\ntwo 22\n");
  set_operator_services({});
}

class Console final : public kernel::TextOutput {
 public:
  void write(std::string_view text) override { content += text; }
  std::string content;
};

class LogSink : public ::testing::Test {
 protected:
  LogSink() {
    static Console console;  // the log keeps it
    output = &console;
    kernel::log().set_output(console);
    kernel::log().set_verbosity(kernel::Verbosity::Info);
    console.content.clear();
  }
  ~LogSink() override { kernel::log().set_verbosity(kernel::Verbosity::Quiet); }
  static TensorRef text(KindFixture& with, const std::string& content) {
    TensorRef made = with.bytes({static_cast<std::uint32_t>(content.size())}, {content.begin(), content.end()});
    made.stamp(kSchemaText, 7, 0, 1);
    return made;
  }
  Console* output;
};

TEST_F(LogSink, writes_lines_of_text_escaped_and_cut) {
  KindFixture with("log-sink", {{"per_second", "0"}}, 1, 0);
  with.put(0, text(with, "one\n\ntwo\x1b[0m\n" + std::string(200, 'x')));
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(output->content, "graph: one\ngraph: \ngraph: two\\x1b[0m\ngraph: " + std::string(160, 'x') + "...\n");
}

TEST_F(LogSink, describes_other_tensors) {
  KindFixture with("log-sink", {}, 1, 0);
  with.put(0, with.bytes({2, 1}, {0, 255}, 3));
  EXPECT_EQ(with.fire(), "ok");
  with.put(0, with.bytes({17}, std::vector<std::uint8_t>(17, 1), 4));
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(output->content,
            "graph: tensor 3 of operator 7: u8 [2, 1] 00 ff\n"
            "graph: tensor 4 of operator 7: u8 [17] 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 ...\n");
}

TEST_F(LogSink, writes_so_many_lines_in_a_second_and_says_what_it_left_out) {
  KindFixture with("log-sink", {{"per_second", "2"}}, 1, 0);
  with.put(0, text(with, "1\n2\n3\n4\n"));
  EXPECT_EQ(with.fire(), "ok");
  with.now_ns += 999'999'999;
  with.put(0, text(with, "5"));
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(output->content, "graph: 1\ngraph: 2\n");
  with.now_ns += 1;
  with.put(0, text(with, "6"));
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(output->content, "graph: 1\ngraph: 2\ngraph: 3 lines were not shown\ngraph: 6\n");
}

TEST(Sink, fails_where_inputs_differ) {
  const auto outcome = [](auto make_first, auto make_second) {
    KindFixture with("sink", {{"check", "equal"}}, 2, 0);
    with.put(0, make_first(with));
    with.put(1, make_second(with));
    return with.fire();
  };
  const auto pair = [](KindFixture& with) { return with.bytes({2}, {1, 2}, 4); };
  const auto other = [](KindFixture& with) { return with.bytes({2}, {1, 3}, 5); };
  const auto column = [](KindFixture& with) { return with.bytes({2, 1}, {1, 2}); };
  EXPECT_EQ(outcome(pair, pair), "ok");
  EXPECT_EQ(outcome(pair, other), "graph-not-equal: inputs 0 and 1, tensors 4 and 5: byte 1 is 2 and 3");
  EXPECT_EQ(outcome(pair, column), "graph-bad-input: input 1: expected u8 [2], given u8 [2, 1]");
}

TEST(Sink, fails_where_another_operator_made_the_next_tensor) {
  KindFixture with("sink", {{"check", "sequence"}}, 1, 0);
  with.put(0, with.bytes({1}, {1}, 8));
  EXPECT_EQ(with.fire(), "ok");
  TensorRef foreign = with.bytes({1}, {1}, 9);
  foreign.stamp(kUntyped, 8, 9, 1);
  with.put(0, std::move(foreign));
  EXPECT_EQ(with.fire(), "graph-sequence-gap: input 0: expected tensor 9 of operator 7, given 9 of 8");
  with.op->code().begin(0);
  with.put(0, with.bytes({1}, {1}, 99));
  EXPECT_EQ(with.fire(), "ok");
}

TEST(Sink, ends_anything_otherwise) {
  KindFixture with("sink", {}, 2, 0);
  with.put(0, with.bytes({1}, {1}, 8));
  with.put(1, with.bytes({2}, {1, 2}, 3));
  EXPECT_EQ(with.fire(), "ok");
  EXPECT_EQ(with.graph->arena().statistics().live, 0U);
}

}  // namespace
}  // namespace guest::graph
