// What the clients of a load have found.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace load {

/// Failures that are told; a load ends at the first one, but the others may be under way.
inline constexpr std::size_t kMaxFailures = 20;

/// Shared by all clients; one thread.
class Figures {
 public:
  /// A request had its answer, as it should be, after so many nanoseconds.
  void answered(std::string_view kind, std::int64_t round_trip_ns) {
    round_trips_ns_[kind].push_back(round_trip_ns);
    ++answered_;
  }
  void fail(std::string what) {
    failed_ = true;
    if (failures_.size() < kMaxFailures) failures_.push_back(std::move(what));
  }
  [[nodiscard]] bool failed() const { return failed_; }
  /// Requests that were sent whole and answered once.
  [[nodiscard]] std::uint64_t answered() const { return answered_; }

  /// {answered, sessions, abandoned, events, failures, kinds: {KIND: {count, p50_ns, p99_ns, max_ns}},
  /// clock_resolution_ns}.
  [[nodiscard]] nlohmann::json report() const;

  std::uint64_t sessions = 0;
  std::uint64_t events = 0;
  std::uint64_t abandoned = 0;  ///< requests of which nobody read the answer; some were not sent whole

 private:
  /// [KIND][requests of it]. Kinds are named in the program text.
  std::map<std::string_view, std::vector<std::int64_t>> round_trips_ns_;
  std::uint64_t answered_ = 0;
  bool failed_ = false;
  std::vector<std::string> failures_;
};

}  // namespace load
