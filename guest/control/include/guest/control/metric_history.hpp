// The kernel's metrics as they were at multiples of an interval of the kernel's time, in a bounded ring: for who looks
// at a run later. A sample holds what has changed since the one before.
//
//   timer --> sample() --> | t=100 {3: 7, 5: 12} | t=200 {5: 13} | ...        the oldest are dropped, into `base`
//
// Of times it has sums and largest values; percentiles take long to find, and are in the histograms (`histograms`), of
// which it takes a copy at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "guest/control/histogram_copies.hpp"
#include "guest/kernel/timer.hpp"
#include "guest/kernel/work.hpp"

namespace guest::control {

struct Services;

/// In the control loop's thread.
class MetricHistory {
 public:
  /// Figures that it knows by name at most. Any beyond are not in it.
  static constexpr std::size_t kMaxSeries = 2048;
  static constexpr std::size_t kNameBytes = std::size_t{96} * 1024;
  static constexpr std::size_t kRingBytes = std::size_t{1} << 20;

  explicit MetricHistory(Services& services) : services_(services) {}
  MetricHistory(const MetricHistory&) = delete;
  MetricHistory& operator=(const MetricHistory&) = delete;
  ~MetricHistory() { freeze_timer(); }

  /// Takes the first sample now and then one at each multiple of `interval_ns`, at least 1 ms. Once. False: no memory.
  [[nodiscard]] bool start(std::uint64_t interval_ns);
  /// Takes the last sample, and with it copies of all histograms.
  void freeze();
  [[nodiscard]] bool frozen() const { return frozen_; }
  /// As they were when this was frozen. Null: it is not, or there was no memory for them.
  [[nodiscard]] const HistogramCopies* histograms() const { return has_histograms_ ? &histograms_ : nullptr; }
  [[nodiscard]] std::uint64_t interval_ns() const { return interval_ns_; }

  // Samples have numbers, from 0.
  [[nodiscard]] std::uint64_t begin() const { return begin_; }  ///< the oldest that is kept
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// One that is kept.
  struct Sample {
    std::uint64_t time_ns = 0;
    std::size_t changes = 0;  ///< in the sample; in `out` no more than fit
  };
  struct Change {
    std::uint16_t series = 0;
    std::uint64_t value = 0;
  };
  /// A sample that is to be read.
  struct Cursor {
    std::uint64_t number = 0;
    std::uint64_t at = 0;  ///< where it is in the ring, if it is kept
  };
  [[nodiscard]] Cursor oldest() const { return {.number = begin_, .at = ring_begin_}; }
  [[nodiscard]] Cursor next() const { return {.number = end_, .at = ring_end_}; }
  /// The sample at the cursor, which is kept, begin() <= number < end(); the cursor moves on. `out` has room for
  /// kMaxSeries.
  Sample read(Cursor& cursor, std::span<Change> out) const;
  /// All figures as they are after that sample, in the order of their series.
  Sample read_all(Cursor& cursor, std::span<Change> out) const;
  [[nodiscard]] std::string_view name(std::uint16_t series) const;

 private:
  class Named;
  class ByPlace;
  struct Series {
    std::uint64_t last = 0;
    std::uint64_t base = 0;  ///< after the newest sample that was dropped
    std::uint32_t name_offset = 0;
    std::uint8_t name_size = 0;
    bool in_base = false;
    bool is_new = true;  ///< no sample has it
  };
  /// What the ring is made of: an entry is a time, a count, and so many changes.
  struct Head {
    std::uint64_t time_ns = 0;
    std::uint64_t changes = 0;
  };
  struct Memory {
    Series series[kMaxSeries];
    std::uint16_t places[kMaxSeries];  ///< the series of each place in the order of figures
    std::uint64_t now[kMaxSeries];     ///< the figures by place
    char names[kNameBytes];
    std::byte ring[kRingBytes];
  };
  static constexpr std::uint16_t kNoSeries = 0xffff;

  void on_timer();
  void arm();
  void freeze_timer();
  void sample();
  void learn_places();
  std::uint16_t find_series(std::string_view name);
  void append(std::uint64_t now_ns);
  void drop_oldest();
  void put(std::span<const std::byte> bytes);
  void get(std::uint64_t& at, std::span<std::byte> bytes) const;

  Services& services_;
  std::unique_ptr<Memory> memory_;
  HistogramCopies histograms_;
  bool has_histograms_ = false;
  std::uint64_t interval_ns_ = 0;
  std::uint64_t due_ns_ = 0;
  std::size_t series_count_ = 0;
  std::size_t expected_ = 0;  ///< the series that find_series() will be asked for, if it is as before
  std::size_t name_bytes_ = 0;
  std::size_t place_count_ = 0;
  std::uint64_t identity_ = 0;  ///< of the things in their places
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t ring_begin_ = 0;  ///< bytes that ever left the ring
  std::uint64_t ring_end_ = 0;    ///< bytes that ever went in
  bool frozen_ = false;
  kernel::WorkItem turn_{[](void* self) { static_cast<MetricHistory*>(self)->on_timer(); }, this};
  kernel::Timer timer_{turn_};
};

}  // namespace guest::control
