// metrics.json and trace.json of a run (docs/observation.md, Files of a run).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest_link.hpp"
#include "observe_collector.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/observe/summary.hpp"
#include "vmm/scenario/scenario.hpp"

namespace vmm::machine {

struct ObserveStreamOptions {
  std::filesystem::path socket;  ///< of the machine's vsock
  std::chrono::milliseconds connect_timeout;
  std::chrono::steady_clock::time_point start;       ///< of the back end
  std::optional<std::chrono::nanoseconds> interval;  ///< of the metrics' history; absent: there is none
  bool trace = true;
  std::function<control::Key()> present_key;           ///< asked on the loop's thread
  std::function<void(const std::string&)> on_warning;  ///< called on the loop's thread
  sandbox::Sandbox sandbox;
};

/// Follows the guest on a thread of its own and writes the files at the end. In the thread of the loop, which outlives
/// it.
class ObserveStream {
 public:
  ObserveStream(EventLoop& loop, ObserveStreamOptions options);
  ~ObserveStream();
  ObserveStream(const ObserveStream&) = delete;
  ObserveStream& operator=(const ObserveStream&) = delete;

  /// The guest is about to be stopped: asks it for what is to be in the files of its end, for at most `limit`. `done`
  /// is called once, later.
  void complete(std::chrono::milliseconds limit, std::function<void()> done);
  void on_guest_reset() { collector_->on_guest_reset(); }
  /// The device has been stopped: nothing more comes. The loop must turn once more before this is destroyed.
  void finish() { link_->finish(); }

  /// What the trace has of what the scenario expects. After finish().
  [[nodiscard]] std::vector<observe::ExpectationResult> evaluate(const scenario::Expectations& expect) const;

  /// Writes the files into `folder`. After finish(). The names of those that there are.
  Result<std::vector<std::string>> write(const observe::Summary& summary, std::chrono::nanoseconds stopping,
                                         const std::filesystem::path& folder);

 private:
  void on_completed();
  void add_host(const observe::Summary& summary, std::chrono::nanoseconds stopping);
  void add_host_event(const std::string& track, const std::string& name, std::chrono::nanoseconds begin,
                      std::chrono::nanoseconds end, nlohmann::ordered_json args);
  void add_steps(const observe::Summary& summary);
  [[nodiscard]] nlohmann::ordered_json steps_json(const observe::Summary& summary) const;

  EventLoop& loop_;
  ObserveStreamOptions options_;
  std::function<void()> done_;  ///< of complete(), while it goes on
  EventLoop::TimerId timer_ = 0;
  std::unique_ptr<ObserveCollector> collector_;
  std::unique_ptr<GuestLink> link_;
};

}  // namespace vmm::machine
