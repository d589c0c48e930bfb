// Signals as events of a loop.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/notifier.hpp"
#include "vmm/base/result.hpp"

namespace vmm {

/// Catches signals for as long as it lives. There is one at a time.
class SignalWatch {
 public:
  static Result<std::unique_ptr<SignalWatch>> create(EventLoop& loop, const std::vector<int>& signals,
                                                     std::function<void(int)> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  SignalWatch(EventLoop& loop, Notifier notifier, std::vector<int> signals, std::function<void(int)> on_signal);

  EventLoop& loop_;
  Notifier notifier_;
  std::vector<int> signals_;
  std::function<void(int)> on_signal_;
};

/// "SIGINT".
const char* signal_name(int number);

/// A write to a closed pipe or socket is to be an error where it happens, not the end of the program.
void ignore_broken_pipes();

}  // namespace vmm
