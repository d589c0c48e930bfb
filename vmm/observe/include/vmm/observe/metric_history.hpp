// The guest's metrics over its time, from the events of `watch history`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vmm::observe {

/// Takes samples, each of which says what has changed since the one before, and keeps them as series of one length.
///
/// Bounded, whatever the guest sends: when there would be more than `max_values` values every second sample is dropped,
/// and of those that follow only every second is kept; then every fourth, and so on. The same samples leave the same
/// history.
class MetricHistory {
 public:
  static constexpr std::size_t kMaxSeries = 4096;
  static constexpr std::size_t kMaxValues = std::size_t{1} << 22;
  /// A value that a series does not have at a time.
  static constexpr std::uint64_t kNone = UINT64_MAX;

  explicit MetricHistory(std::size_t max_values = kMaxValues) : max_values_(max_values) {}

  struct Series {
    std::uint64_t now = kNone;
    std::vector<std::uint64_t> values;  ///< as many as times(), kNone before it was there
  };

  /// An event {time_ns, metrics: {name: value}, lost?, frozen?}. One of the same time as the last is more of that
  /// sample. One before it is told again, after a lost connection: no sample is added, and what it says was lost may
  /// have come then. False: it is no such event, and nothing was taken.
  bool take(const nlohmann::json& event);

  /// Times in nanoseconds, rising.
  [[nodiscard]] const std::vector<std::uint64_t>& times() const { return times_; }
  [[nodiscard]] std::map<std::string, Series, std::less<>> series() const;
  /// Values after the last sample, whether that is kept or not.
  [[nodiscard]] std::map<std::string, std::uint64_t, std::less<>> last() const;
  [[nodiscard]] std::uint64_t last_time() const { return last_time_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }    ///< that were taken
  [[nodiscard]] std::uint64_t stride() const { return stride_; }      ///< one in so many samples is kept
  [[nodiscard]] std::uint64_t lost() const { return lost_; }          ///< that the guest had no more
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }  ///< values beyond kMaxSeries, or no values
  [[nodiscard]] bool frozen() const { return frozen_; }               ///< the guest takes no more

 private:
  void set(const std::string& name, const nlohmann::json& value);
  void append(std::uint64_t time_ns);
  void thin();

  std::size_t max_values_;
  std::vector<std::uint64_t> times_;
  /// Of each the values up to its last change: of a thousand figures few change from one sample to the next.
  std::map<std::string, Series, std::less<>> series_;
  std::uint64_t last_time_ = 0;
  std::uint64_t samples_ = 0;
  std::uint64_t stride_ = 1;
  std::uint64_t lost_ = 0;
  std::uint64_t left_out_ = 0;
  bool frozen_ = false;
};

}  // namespace vmm::observe
