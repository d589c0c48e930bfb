// Memory that is short, for tests of what is done about it.
#pragma once

#include <cstddef>

namespace guest::kernel {

/// While one lives, one allocation with std::nothrow fails: the kernel's, which all are; those of the test's own
/// library are not. One at a time.
class FailingMemory {
 public:
  /// @param fails_at which allocation from now on, from 0
  explicit FailingMemory(std::size_t fails_at);
  ~FailingMemory();
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  /// It has come to that allocation.
  [[nodiscard]] bool has_failed() const;
};

/// Calls `attempt()` with the first allocation that fails, then with the second, and so on until none does, and
/// `refused()` after each that had one. The last attempt had none.
template <typename Attempt, typename Refused>
void fail_each_allocation(Attempt&& attempt, Refused&& refused) {
  for (std::size_t at = 0;; ++at) {
    bool failed = false;
    {
      const FailingMemory memory(at);
      attempt();
      failed = memory.has_failed();
    }
    if (!failed) {
      return;
    }
    refused();
  }
}

}  // namespace guest::kernel
