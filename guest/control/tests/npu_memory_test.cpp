// Commands of the NPU when memory is short: whichever allocation it is that fails, the command says so, and works when
// there is memory again.
#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "npu_fixture.hpp"

namespace guest::control::testing {
namespace {

using kernel::fail_each_allocation;

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

TEST_F(NpuMemoryTest, status_and_reset) {
  EXPECT_EQ(messages("npu status"),
            (Messages{"busy: no memory or no thread for 'npu status'", "busy: no memory for the answer"}));
  EXPECT_EQ(messages("npu reset"),
            (Messages{"busy: no memory or no thread for 'npu reset'", "busy: no memory for the answer"}));
}

}  // namespace
}  // namespace guest::control::testing
