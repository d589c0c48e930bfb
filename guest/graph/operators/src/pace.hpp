// When a source fires: so many times, so far apart.
#pragma once

#include <cstdint>

#include "guest/graph/operator.hpp"

namespace guest::graph {

inline constexpr std::int64_t kMaxPeriodUs = 3'600'000'000;
inline constexpr std::int64_t kMaxCount = 1'000'000'000'000'000;

/// The first time is when the run begins. A late execution does not shift the later ones: they are made up for.
class Pace {
 public:
  /// `count` 0: for ever. `period_us` 0: as fast as there is room for what it sends.
  Pace(std::int64_t count, std::int64_t period_us)
      : count_(static_cast<std::uint64_t>(count)), period_ns_(static_cast<std::uint64_t>(period_us) * 1000) {}

  void begin(std::uint64_t now_ns) {
    next_ns_ = now_ns;
    fired_ = 0;
  }
  [[nodiscard]] std::uint64_t ready_at() const {
    if (is_over()) {
      return OperatorCode::kAsleep;
    }
    return period_ns_ == 0 ? OperatorCode::kNow : next_ns_;
  }
  /// How often it has fired in this run.
  [[nodiscard]] std::uint64_t fired() const { return fired_; }
  /// It fires. True: for the last time.
  bool step() {
    ++fired_;
    next_ns_ += period_ns_;
    return is_over();
  }

 private:
  [[nodiscard]] bool is_over() const { return count_ != 0 && fired_ >= count_; }

  std::uint64_t count_;
  std::uint64_t period_ns_;
  std::uint64_t next_ns_ = 0;
  std::uint64_t fired_ = 0;
};

/// What sources have in common: the parameters of their pace.
inline constexpr ParameterSpec kCountParameter{
    .name = "count", .max = kMaxCount, .help = "how many tensors a run makes; 0: without end"};
inline constexpr ParameterSpec kPeriodParameter{
    .name = "period_us", .max = kMaxPeriodUs, .help = "from one tensor to the next; 0: as soon as there is room"};

}  // namespace guest::graph
