// Gathers what the guest has measured, and what it has recorded of what happened, over its control port.
//
//   connect -> its clock, names -> `watch history`, `watch trace raw`: taken as they come, each second its clock again
//           -> at the end, when asked: `trace freeze`, `metrics`, `histograms`, names, and both followed to their end
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "vmm/control/client.hpp"
#include "vmm/observe/clock_map.hpp"
#include "vmm/observe/metrics_file.hpp"
#include "vmm/observe/trace_file.hpp"

namespace vmm::machine {

/// What has been gathered.
struct Observed {
  observe::MetricsFile metrics;
  observe::TraceFile trace;
  observe::ClockMap clock;
  std::uint64_t connections = 0;
  std::uint64_t events = 0;
  std::uint64_t malformed = 0;
  std::uint64_t dropped = 0;
  std::uint64_t restarts = 0;
  bool complete = false;    ///< the guest answered all that it was asked at the end, and what it recorded is all here
  bool trace_read = false;  ///< and it did not refuse to tell its trace
};

struct ObserveCollectorOptions {
  bool metrics = true;                          ///< follow the history of the metrics
  bool trace = true;                            ///< follow the trace
  std::chrono::steady_clock::time_point start;  ///< from which the host's times count
  // Both from the thread that calls collect().
  std::function<void()> on_completed;  ///< what complete() asked for is done, as far as it could be. At most once
  std::function<void(std::string)> on_warning;
};

/// collect() is called from one thread, with one connection after another; the others from any.
class ObserveCollector {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ObserveCollector(ObserveCollectorOptions options) : options_(std::move(options)) {}

  /// Until the connection ends.
  void collect(control::Client& client);
  /// The machine is about to be stopped: asks what is to be asked at the end, until `deadline`.
  void complete_by(Clock::time_point deadline);
  /// The guest has begun anew: of what came before nothing is kept.
  void on_guest_reset() { ++resets_; }
  /// When the thread of collect() has ended.
  Observed& observed() { return observed_; }

 private:
  /// A subscription.
  struct Stream {
    std::optional<std::uint32_t> id;  ///< while it goes on
    bool refused = false;             ///< the guest does not have it
  };
  using Answer = control::ClientResult<nlohmann::json>;

  bool begin(control::Client& client);
  void begin_anew();
  bool follow(control::Client& client, Stream& stream, const char* op, nlohmann::json args);
  bool take_next(control::Client& client, std::uint32_t id);
  void take_event(bool is_trace, const control::Client::Next& next);
  bool on_stream_error(Stream& stream, const control::ClientError& error);
  Answer ask(control::Client& client, const char* op, const nlohmann::json& args, Clock::time_point deadline);
  bool look_around(control::Client& client);
  bool ask_all(control::Client& client, Clock::time_point deadline);
  bool ask_names(control::Client& client, Clock::time_point deadline);
  std::optional<std::uint64_t> read_clock(control::Client& client, Clock::time_point deadline);
  void complete();
  /// What is followed has ended, or the guest has refused it.
  [[nodiscard]] bool followed_to_end() const { return !history_.id && !trace_.id; }
  std::optional<Clock::time_point> wanted_by();

  ObserveCollectorOptions options_;
  Observed observed_;
  std::atomic<unsigned> resets_ = 0;
  unsigned resets_seen_ = 0;
  Stream history_;
  Stream trace_;
  Clock::time_point next_look_;
  unsigned looks_ = 0;
  std::uint64_t last_guest_ns_ = 0;
  std::optional<bool> answered_;  ///< it was asked all, and whether it answered that
  bool completed_ = false;
  std::mutex mutex_;  ///< guards the next one
  std::optional<Clock::time_point> wanted_by_;
};

}  // namespace vmm::machine
