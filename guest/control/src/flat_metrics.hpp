// Metrics as numbers, of which an answer or an event holds a part.
#pragma once

#include "metrics.hpp"

namespace guest::control {

/// Makes numbers of all, and hands on those whose names begin with the prefix.
class Flat : public MetricSink {
 public:
  explicit Flat(std::string_view prefix) : prefix_(prefix) {}

  void count(std::string_view name, std::uint64_t value) final { take(name, value); }
  void level(std::string_view name, std::uint64_t value) final { take(name, value); }
  void times(std::string_view name, const kernel::Histogram& histogram) final {
    using kernel::Percentile;
    take_part(name, "total_ns", histogram.sum());
    constexpr struct {
      std::string_view name;
      Percentile percentile;
    } kPercentiles[] = {{"p50_ns", Percentile::P50}, {"p95_ns", Percentile::P95}, {"p99_ns", Percentile::P99}};
    for (const auto& [part, percentile] : kPercentiles) {
      if (const auto value = histogram.percentile(percentile)) {
        take_part(name, part, *value);
      }
    }
    if (histogram.count() != 0) {
      take_part(name, "max_ns", histogram.max());
    }
  }

 protected:
  ~Flat() = default;
  virtual void on_number(std::string_view name, std::uint64_t value) = 0;

 private:
  void take(std::string_view name, std::uint64_t value) {
    if (name.starts_with(prefix_)) {
      on_number(name, value);
    }
  }
  void take_part(std::string_view name, std::string_view part, std::uint64_t value) {
    kernel::FixedText<kMaxMetricName> whole;
    kernel::format_to(whole, "{}_{}", name, part);
    take(whole.view(), value);
  }

  std::string_view prefix_;
};

/// How many there are.
class Counted final : public Flat {
 public:
  using Flat::Flat;
  std::uint64_t numbers = 0;

 private:
  void on_number(std::string_view, std::uint64_t) override { ++numbers; }
};

/// Writes those behind the first `skip`, at most `count`.
class Page final : public Flat {
 public:
  Page(std::string_view prefix, std::uint64_t skip, std::uint64_t count, ResultMap& into)
      : Flat(prefix), skip_(skip), count_(count), into_(into) {}
  [[nodiscard]] std::uint64_t left_off() const { return seen_ > skip_ + taken_ ? seen_ - skip_ - taken_ : 0; }

 private:
  void on_number(std::string_view name, std::uint64_t value) override {
    if (seen_++ >= skip_ && taken_ < count_) {
      into_.add(name, value);
      ++taken_;
    }
  }

  std::uint64_t skip_;
  std::uint64_t count_;
  std::uint64_t seen_ = 0;
  std::uint64_t taken_ = 0;
  ResultMap& into_;
};

}  // namespace guest::control
