// Commands of the NPU when memory is short: whichever allocation it is that fails, the command says so, and works when
// there is memory again.
#include <gmock/gmock.h>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "npu_fixture.hpp"

namespace guest::control::testing {
namespace {

using kernel::fail_each_allocation;
using ::testing::Contains;
using ::testing::Each;
using ::testing::MatchesRegex;

class NpuMemoryTest : public NpuCommandTest {
 protected:
  Messages messages(std::string_view name, const std::vector<std::string_view>& words = {}) {
    Messages all;
    json answer;
    fail_each_allocation([&] { answer = call(name, words); }, [&] { all.add(told(answer)); });
    EXPECT_FALSE(answer.contains("code")) << answer;
    return all;
  }
};

TEST_F(NpuMemoryTest, bench) {
  EXPECT_EQ(messages("npu bench", {"nop", "--count", "1"}),
            (Messages{"busy: no memory or no thread for 'npu bench'", "busy: no memory for the jobs of 'npu bench'",
                      "failed: ml-no-memory: no 1 bytes for tensors: at most 1073741824",
                      "failed: ml-no-memory: no 32 bytes for the books of tensors",
                      "busy: no memory for the jobs of 'npu bench'", "busy: no memory for the answer"}));
}

TEST_F(NpuMemoryTest, demo) {
  EXPECT_EQ(messages("npudemo"),
            (Messages{"busy: no memory or no thread for 'npudemo'",
                      "failed: ml-no-memory: no 5120 bytes for tensors: at most 1073741824",
                      "failed: ml-no-memory: no 32 bytes for the books of tensors",
                      "busy: no memory for the job of 'npudemo'", "busy: no memory for the answer"}));
}

/// What models and networks say of memory is in their own tests; that it is handed on is here.
TEST_F(NpuMemoryTest, networks) {
  const struct {
    const char* name;
    std::vector<std::string_view> words;
    const char* own;
  } kDemos[] = {{"mldemo", {"3"}, "busy: no memory for 3 images"},
                {"infdemo", {"patterns"}, "busy: no memory or no thread for 'infdemo'"},
                {"ai_bench", {"patterns", "2"}, "busy: no memory for 2 inferences"}};
  for (const auto& [name, words, own] : kDemos) {
    std::vector<std::string> said;
    json answer;
    fail_each_allocation([&] { answer = call(name, words); }, [&] { said.push_back(told(answer)); });
    EXPECT_FALSE(answer.contains("code")) << answer;
    EXPECT_THAT(said, Each(MatchesRegex("(busy: no memory|failed: (ml|gguf)-no-memory: no ).*"))) << name;
    EXPECT_THAT(said, Contains(own));
    EXPECT_THAT(said, Contains("failed: ml-no-memory: no memory for the model 'patterns'"));
    EXPECT_EQ(said.back(), "busy: no memory for the answer");
  }
}

TEST_F(NpuMemoryTest, status_and_reset) {
  EXPECT_EQ(messages("npu status"),
            (Messages{"busy: no memory or no thread for 'npu status'", "busy: no memory for the answer"}));
  EXPECT_EQ(messages("npu reset"),
            (Messages{"busy: no memory or no thread for 'npu reset'", "busy: no memory for the answer"}));
}

}  // namespace
}  // namespace guest::control::testing
