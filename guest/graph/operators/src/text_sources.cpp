#include "text_sources.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "guest/graph/operators/services.hpp"
#include "guest/graph/schema.hpp"

namespace guest::graph {
namespace {

/// Text is what it is also where the operator's channels are untyped.
void mark_as_text(TensorRef& tensor) {
  const TensorInfo& info = tensor.info();
  if (info.schema == kUntyped) {
    tensor.stamp(kSchemaText, info.origin, info.sequence, info.timestamp_ns);
  }
}

/// Each line of the log that comes after the run's beginning, without its end.
class LogSource final : public OperatorCode {
 public:
  LogSource(LogLines& lines, const Parameters& parameters)
      : lines_(lines),
        count_(static_cast<std::uint64_t>(parameters.integer("count"))),
        period_ns_(static_cast<std::uint64_t>(parameters.integer("period_us")) * 1000) {}

  void begin(std::uint64_t /*now_ns*/) override {
    next_line_ = lines_.end();
    sent_ = 0;
  }

  std::uint64_t ready_at(std::uint64_t now_ns) override {
    if (count_ != 0 && sent_ == count_) {
      return kAsleep;
    }
    // Nobody wakes a source for a line: that could be written in any context.
    return next_line_ < lines_.end() ? kNow : now_ns + period_ns_;
  }

  kernel::Outcome fire(Firing& firing) override {
    char text[kMaxLine];
    const auto line = lines_.read(next_line_, text);
    if (!line) {
      return {};  // forgotten in the meantime, or the time of a look has come
    }
    next_line_ = line->next;
    auto made = firing.allocate(DType::U8, {.rank = 1, .dims = {static_cast<std::uint32_t>(line->bytes)}});
    if (!made) {
      return std::unexpected(made.error());
    }
    const auto bytes = std::as_bytes(std::span(text, line->bytes));
    kernel::require(made->arena()->write(*made, 0, bytes) == kernel::Status::Ok, "a line of the log does not fit");
    mark_as_text(*made);
    firing.send(0, *std::move(made));
    if (++sent_ == count_) {
      firing.finish();
    }
    return {};
  }

 private:
  static constexpr std::size_t kMaxLine = 256;

  LogLines& lines_;
  std::uint64_t count_;
  std::uint64_t period_ns_;
  std::uint64_t next_line_ = 0;
  std::uint64_t sent_ = 0;
};

/// Text into a tensor's bytes, as long as there is room. Whole lines only.
class TensorText final : public kernel::TextOutput {
 public:
  explicit TensorText(std::span<std::byte> to) : to_(to) {}
  void write(std::string_view text) override {
    const std::size_t fits = std::min(text.size(), to_.size() - bytes_);
    if (fits > 0 && !is_full_) {
      std::memcpy(to_.data() + bytes_, text.data(), fits);
      bytes_ += fits;
    }
    is_full_ = is_full_ || fits < text.size();
  }
  /// What was written up to the last line end that fits.
  [[nodiscard]] std::size_t whole_lines() const {
    std::size_t bytes = bytes_;
    while (is_full_ && bytes > 0 && to_[bytes - 1] != std::byte{'\n'}) {
      --bytes;
    }
    return bytes;
  }

 private:
  std::span<std::byte> to_;
  std::size_t bytes_ = 0;
  bool is_full_ = false;
};

class MetricSource final : public OperatorCode {
 public:
  MetricSource(MetricText& metrics, const Parameters& parameters)
      : metrics_(metrics),
        pace_(parameters.integer("count"), parameters.integer("period_us")),
        max_bytes_(static_cast<std::uint32_t>(parameters.integer("max_bytes"))) {}

  void begin(std::uint64_t now_ns) override { pace_.begin(now_ns); }
  std::uint64_t ready_at(std::uint64_t /*now_ns*/) override { return pace_.ready_at(); }

  kernel::Outcome fire(Firing& firing) override {
    auto made = firing.allocate(DType::U8, {.rank = 1, .dims = {max_bytes_}});
    if (!made) {
      return std::unexpected(made.error());
    }
    TensorText text(made->writable());
    metrics_.write(text);
    const auto bytes = static_cast<std::uint32_t>(text.whole_lines());
    kernel::require(made->reshape(DType::U8, {.rank = 1, .dims = {bytes}}) == kernel::Status::Ok, "text grows");
    mark_as_text(*made);
    firing.send(0, *std::move(made));
    if (pace_.step()) {
      firing.finish();
    }
    return {};
  }

 private:
  MetricText& metrics_;
  Pace pace_;
  std::uint32_t max_bytes_;
};

}  // namespace

MadeOperator make_log_source(const Parameters& parameters) {
  LogLines* const lines = operator_services().log_lines;
  if (lines == nullptr) {
    return kernel::fail("graph-unavailable", "this kernel does not keep the lines of its log");
  }
  return make_code<LogSource>(*lines, parameters);
}

MadeOperator make_metric_source(const Parameters& parameters) {
  MetricText* const metrics = operator_services().metrics;
  if (metrics == nullptr) {
    return kernel::fail("graph-unavailable", "this kernel does not write its metrics as text");
  }
  return make_code<MetricSource>(*metrics, parameters);
}

}  // namespace guest::graph
