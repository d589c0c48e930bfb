#include "guest/control/metric_history.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "metrics.hpp"

namespace guest::control {
namespace {

/// Of a sequence of identities.
class Identity {
 public:
  /// FNV-1a, by whole words.
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x0000'0100'0000'01b3; }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf2'9ce4'8422'2325;
};

}  // namespace

/// Writes the figures down by their places, as quickly as it can.
class MetricHistory::ByPlace final : public MetricSink {
 public:
  explicit ByPlace(std::uint64_t (&now)[kMaxSeries]) : now_(now) {}
  void count(std::string_view, std::uint64_t value) override { take(value); }
  void level(std::string_view, std::uint64_t value) override { take(value); }
  void times(std::string_view, const kernel::Histogram& histogram) override {
    take(histogram.sum());
    take(histogram.max());
  }
  [[nodiscard]] bool wants_names() const override { return false; }
  [[nodiscard]] bool wants_all() const override { return false; }
  void thing(std::uint64_t identity) override { identity_.add(identity); }
  [[nodiscard]] std::size_t places() const { return places_; }
  [[nodiscard]] std::uint64_t identity() const { return identity_.value(); }

 private:
  void take(std::uint64_t value) {
    if (places_ < kMaxSeries) {
      now_[places_++] = value;
    }
  }
  std::uint64_t (&now_)[kMaxSeries];
  std::size_t places_ = 0;
  Identity identity_;
};

/// Learns which figure is in which place.
class MetricHistory::Named final : public MetricSink {
 public:
  explicit Named(MetricHistory& history) : history_(history) {}
  void count(std::string_view name, std::uint64_t) override { take(name); }
  void level(std::string_view name, std::uint64_t) override { take(name); }
  void times(std::string_view name, const kernel::Histogram&) override {
    for (const std::string_view part : {"total_ns", "max_ns"}) {
      kernel::FixedText<kMaxMetricName + 16> whole;
      kernel::format_to(whole, "{}_{}", name, part);
      take(whole.view());
    }
  }
  [[nodiscard]] bool wants_all() const override { return false; }
  void thing(std::uint64_t identity) override { identity_.add(identity); }
  [[nodiscard]] std::size_t places() const { return places_; }
  [[nodiscard]] std::uint64_t identity() const { return identity_.value(); }

 private:
  void take(std::string_view name) {
    if (places_ < kMaxSeries) {
      history_.memory_->places[places_++] = history_.find_series(name);
    }
  }
  MetricHistory& history_;
  std::size_t places_ = 0;
  Identity identity_;
};

bool MetricHistory::start(std::uint64_t interval_ns) {
  kernel::require(memory_ == nullptr && interval_ns >= 1'000'000, "a history is started twice, or samples too often");
  memory_.reset(new (std::nothrow) Memory);
  if (memory_ == nullptr) {
    return false;
  }
  interval_ns_ = interval_ns;
  sample();
  arm();
  return true;
}

void MetricHistory::arm() {
  // Not from the last one on: samples of all runs are at the same times, whenever they began.
  due_ns_ = (services_.clock.now_ns() / interval_ns_ + 1) * interval_ns_;
  services_.timers.arm(timer_, due_ns_);
}

void MetricHistory::freeze_timer() {
  if (interval_ns_ != 0 && !frozen_) {
    services_.timers.cancel(timer_);
  }
}

void MetricHistory::freeze() {
  if (memory_ == nullptr || frozen_) {
    return;
  }
  freeze_timer();
  sample();
  has_histograms_ = histograms_.take(services_);
  frozen_ = true;
}

void MetricHistory::on_timer() {
  if (frozen_) {
    return;  // the item was raised already
  }
  sample();
  arm();
}

void MetricHistory::sample() {
  ByPlace figures(memory_->now);
  gather_metrics(services_, nullptr, figures);
  if (figures.places() != place_count_ || figures.identity() != identity_) {
    learn_places();
    ByPlace again(memory_->now);
    gather_metrics(services_, nullptr, again);
  }
  append(services_.clock.now_ns());
}

void MetricHistory::learn_places() {
  expected_ = 0;
  Named names(*this);
  gather_metrics(services_, nullptr, names);
  place_count_ = names.places();
  identity_ = names.identity();
}

/// kNoSeries: there is no room for another one. Names mostly come in the order in which they came before.
std::uint16_t MetricHistory::find_series(std::string_view name) {
  for (std::size_t tried = 0; tried < series_count_; ++tried) {
    const auto number = static_cast<std::uint16_t>(expected_ < series_count_ ? expected_ : 0);
    expected_ = number + std::size_t{1};
    if (this->name(number) == name) {
      return number;
    }
  }
  if (series_count_ == kMaxSeries || kNameBytes - name_bytes_ < name.size()) {
    return kNoSeries;
  }
  memory_->series[series_count_] = {.name_offset = static_cast<std::uint32_t>(name_bytes_),
                                    .name_size = static_cast<std::uint8_t>(name.size())};
  std::ranges::copy(name, memory_->names + name_bytes_);
  name_bytes_ += name.size();
  return static_cast<std::uint16_t>(series_count_++);
}

std::string_view MetricHistory::name(std::uint16_t series) const {
  const Series& of = memory_->series[series];
  return {memory_->names + of.name_offset, of.name_size};
}

/// The head comes last: how many changes there are is known then.
void MetricHistory::append(std::uint64_t now_ns) {
  static_assert(sizeof(Head) + kMaxSeries * sizeof(Change) < kRingBytes / 2);
  const std::size_t most = sizeof(Head) + place_count_ * sizeof(Change);
  while (ring_end_ - ring_begin_ + most > kRingBytes) {
    drop_oldest();
  }
  std::uint64_t changes = 0;
  const std::uint64_t head_at = ring_end_;
  ring_end_ += sizeof(Head);
  for (std::size_t place = 0; place < place_count_; ++place) {
    const std::uint16_t number = memory_->places[place];
    if (number == kNoSeries) {
      continue;
    }
    Series& series = memory_->series[number];
    const std::uint64_t value = memory_->now[place];
    if (value == series.last && !series.is_new) {
      continue;
    }
    series.last = value;
    series.is_new = false;
    const Change change = {.series = number, .value = value};
    put(std::as_bytes(std::span(&change, 1)));
    ++changes;
  }
  const Head head = {.time_ns = now_ns, .changes = changes};
  const std::uint64_t behind = std::exchange(ring_end_, head_at);
  put(std::as_bytes(std::span(&head, 1)));
  ring_end_ = behind;
  ++end_;
}

void MetricHistory::drop_oldest() {
  Head head;
  get(ring_begin_, std::as_writable_bytes(std::span(&head, 1)));
  for (std::uint64_t i = 0; i < head.changes; ++i) {
    Change change;
    get(ring_begin_, std::as_writable_bytes(std::span(&change, 1)));
    memory_->series[change.series].base = change.value;
    memory_->series[change.series].in_base = true;
  }
  ++begin_;
}

void MetricHistory::put(std::span<const std::byte> bytes) {
  const std::size_t at = ring_end_ % kRingBytes;
  const std::size_t first = std::min(bytes.size(), kRingBytes - at);
  std::memcpy(memory_->ring + at, bytes.data(), first);
  std::memcpy(memory_->ring, bytes.data() + first, bytes.size() - first);
  ring_end_ += bytes.size();
}

void MetricHistory::get(std::uint64_t& at, std::span<std::byte> bytes) const {
  const std::size_t from = at % kRingBytes;
  const std::size_t first = std::min(bytes.size(), kRingBytes - from);
  std::memcpy(bytes.data(), memory_->ring + from, first);
  std::memcpy(bytes.data() + first, memory_->ring, bytes.size() - first);
  at += bytes.size();
}

MetricHistory::Sample MetricHistory::read(Cursor& cursor, std::span<Change> out) const {
  kernel::require(cursor.number >= begin_ && cursor.number < end_, "a sample is read that is not kept");
  Head head;
  get(cursor.at, std::as_writable_bytes(std::span(&head, 1)));
  for (std::uint64_t i = 0; i < head.changes; ++i) {
    get(cursor.at, std::as_writable_bytes(out.subspan(i, 1)));
  }
  ++cursor.number;
  return {.time_ns = head.time_ns, .changes = head.changes};
}

MetricHistory::Sample MetricHistory::read_all(Cursor& cursor, std::span<Change> out) const {
  kernel::require(cursor.number >= begin_ && cursor.number < end_, "a sample is read that is not kept");
  bool known[kMaxSeries];
  for (std::size_t i = 0; i < series_count_; ++i) {
    known[i] = memory_->series[i].in_base;
    out[i] = {.series = static_cast<std::uint16_t>(i), .value = memory_->series[i].base};
  }
  std::uint64_t at = ring_begin_;
  Head head;
  for (std::uint64_t each = begin_; each <= cursor.number; ++each) {
    get(at, std::as_writable_bytes(std::span(&head, 1)));
    for (std::uint64_t i = 0; i < head.changes; ++i) {
      Change change;
      get(at, std::as_writable_bytes(std::span(&change, 1)));
      out[change.series].value = change.value;
      known[change.series] = true;
    }
  }
  cursor = {.number = cursor.number + 1, .at = at};
  std::size_t count = 0;
  for (std::size_t i = 0; i < series_count_; ++i) {
    if (known[i]) {
      out[count++] = out[i];
    }
  }
  return {.time_ns = head.time_ns, .changes = count};
}

}  // namespace guest::control
