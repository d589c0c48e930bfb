// What the commands have in common that run scenarios by processes of their own: `test`, and `run --repeat`.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "text_output.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/cli/format.hpp"

namespace vmm::cli {

/// The words that a child's command line begins with: this program.
inline std::vector<std::string> child_program() { return {executable_path().string()}; }

/// Calls `show` some times a second for as long as it lives, if `output` is a terminal on which that is to be seen.
class Ticker {
 public:
  Ticker(EventLoop& loop, const TextOutput& output, std::function<void()> show) : loop_(loop), show_(std::move(show)) {
    if (output.shows_status()) tick();
  }
  ~Ticker() { loop_.cancel_timer(timer_); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  static constexpr std::chrono::milliseconds kInterval{250};

  void tick() {
    timer_ = loop_.add_timer(kInterval, [this] {
      show_();
      tick();
    });
  }

  EventLoop& loop_;
  std::function<void()> show_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace vmm::cli
