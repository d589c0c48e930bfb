#include "vmm/devices/npu_options/options.hpp"

#include <gtest/gtest.h>

namespace vmm::npu {
namespace {

TEST(NpuOptions, text_says_all_of_them) {
  const Options options{.threads = 3,
                        .timing = Timing::Modelled,
                        .faults = {{.kind = Fault::Kind::DropInterrupt, .number = 2},
                                   {.kind = Fault::Kind::DelayJob, .number = 4, .delay = std::chrono::milliseconds(5)},
                                   {.kind = Fault::Kind::FailCommand, .number = 1, .command = 7}}};
  EXPECT_EQ(to_text(options), "threads=3,timing=modelled,drop-interrupt=2,delay-job=4:5000000ns,fail-command=1:7");
  EXPECT_EQ(*parse_options(to_text(options)), options);
  EXPECT_EQ(*parse_options(""), Options{});
}

TEST(NpuOptions, wrong_parts_are_named) {
  for (const char* const bad :
       {"threads=0", "threads=17", "threads", "timing=fast", "drop-interrupt=0", "drop-interrupt=1:2", "delay-job=1",
        "delay-job=1:5", "delay-job=1:61s", "delay-job=1:0ms", "fail-command=1", "fail-command=0:1", "speed=1", ","}) {
    const auto options = parse_options(bad);
    ASSERT_FALSE(options) << bad;
    EXPECT_NE(options.error().message.find(bad == std::string(",") ? "''" : bad), std::string::npos);
    EXPECT_EQ(options.error().exit_code, abi::ExitCode::Usage);
  }
}

}  // namespace
}  // namespace vmm::npu
