#include "guest/kernel/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "guest/kernel/format.hpp"
#include "guest/kernel/host_cpu.hpp"

namespace guest::kernel {
namespace {

class StringOutput final : public TextOutput {
 public:
  void write(std::string_view text) override { content += text; }
  std::string content;
};

TEST(Log, lines_before_the_output_are_kept_and_written_first) {
  Log log;
  StringOutput output;
  log.error("first");
  log.set_output(output);
  log.error("second");
  EXPECT_EQ(output.content, "first\nsecond\n");
}

TEST(Log, lines_above_the_verbosity_are_not_written) {
  Log log;
  StringOutput output;
  log.set_output(output);
  log.info("hidden");
  log.set_verbosity(Verbosity::Info);
  log.info("shown");
  log.debug("hidden");
  EXPECT_EQ(output.content, "shown\n");
}

TEST(Log, full_early_buffer_says_that_lines_are_lost) {
  Log log;
  StringOutput output;
  for (int i = 0; i < 100; ++i) {
    log.error(std::string(99, 'x'));
  }
  log.set_output(output);
  EXPECT_NE(output.content.find("early log full"), std::string::npos);
}

TEST(Log, metric_is_one_line_name_equals_value) {
  Log log;
  StringOutput output;
  log.set_output(output);
  log.metric("boot_ns", 18'446'744'073'709'551'615ULL);
  EXPECT_EQ(output.content, "METRIC boot_ns=18446744073709551615\n");
}

TEST(Log, lines_of_cpus_that_write_at_once_stay_whole) {
  constexpr std::size_t kLines = 500;
  Log log;
  StringOutput output;
  log.set_output(output);
  std::vector<std::thread> threads;
  for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
    threads.emplace_back([&, cpu] {
      const HostCpu identity(cpu);
      for (std::size_t i = 0; i < kLines; ++i) {
        Log::Line line(log);
        line.write("<");
        line.write(std::string(cpu + 1, static_cast<char>('a' + cpu)));
        line.write(">");
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const char* const line : {"<a>\n", "<bb>\n", "<ccc>\n", "<dddd>\n"}) {
    std::size_t count = 0;
    for (std::size_t at = output.content.find(line); at != std::string::npos; at = output.content.find(line, at + 1)) {
      ++count;
    }
    EXPECT_EQ(count, kLines) << line;
  }
}

TEST(Log, a_line_does_not_continue_the_open_line_of_another_cpu) {
  Log log;
  StringOutput output;
  log.set_output(output);
  log.write("prompt> ");
  log.error("own");
  log.write("prompt> ");
  {
    const HostCpu other(1);
    log.error("other");
  }
  EXPECT_EQ(output.content, "prompt> own\nprompt> \nother\n");
}

TEST(Log, a_cpu_that_panics_writes_alone_and_without_the_lock) {
  Log log;
  StringOutput output;
  log.set_output(output);
  const HostCpu holder(1);
  Log::Line held(log);
  {
    const HostCpu panicking(2);
    log.leave_to_this_cpu();
    log.error("report");
  }
  {
    const HostCpu other(3);
    log.error("silent");
  }
  EXPECT_EQ(output.content, "report\n");
  held.write("what was begun");  // goes on to its end
  EXPECT_EQ(output.content, "report\nwhat was begun");
}

TEST(Log, text_without_a_line_end_leaves_the_line_open) {
  Log log;
  EXPECT_FALSE(log.in_line());
  log.write("prompt> ");
  log.write("");
  EXPECT_TRUE(log.in_line());
  log.error("line");
  EXPECT_FALSE(log.in_line());
}

TEST(Log, verbosity_names_round_trip_and_others_are_refused) {
  Verbosity verbosity = Verbosity::Quiet;
  EXPECT_TRUE(parse_verbosity("debug", verbosity));
  EXPECT_EQ(to_string(verbosity), "debug");
  EXPECT_FALSE(parse_verbosity("loud", verbosity));
  EXPECT_EQ(verbosity, Verbosity::Debug);
}

}  // namespace
}  // namespace guest::kernel
