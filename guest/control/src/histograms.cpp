// histograms: times as they were counted, for who makes percentiles and pictures of them.
#include <span>

#include "guest/control/metric_history.hpp"
#include "handlers.hpp"
#include "histogram_answer.hpp"
#include "metrics.hpp"
#include "observe_commands.hpp"

namespace guest::control {

namespace {

/// An answer that is longer has no room for another one, however many buckets that has.
constexpr std::size_t kFullBytes = std::size_t{48} * 1024;

/// Those of an answer: behind the first `skip` whose names begin with the prefix, while there is room.
class Part {
 public:
  Part(const Arguments& arguments, CborWriter& writer, ResultMap& into)
      : prefix_(arguments.text("prefix")), skip_(arguments.number("skip")), writer_(writer), into_(into) {}
  /// Where the one of this name is to be written; null: it is not in the answer.
  CborWriter* place_for(std::string_view name) {
    if (!name.starts_with(prefix_)) {
      return nullptr;
    }
    if (skip_ > 0) {
      --skip_;
      return nullptr;
    }
    if (left_off_ > 0 || writer_.written().size() > kFullBytes) {
      ++left_off_;
      return nullptr;
    }
    return &into_.key_for(name);
  }
  [[nodiscard]] std::uint64_t left_off() const { return left_off_; }

 private:
  std::string_view prefix_;
  std::uint64_t skip_;
  CborWriter& writer_;
  ResultMap& into_;
  std::uint64_t left_off_ = 0;
};

/// As they are now.
class Histograms final : public MetricSink {
 public:
  explicit Histograms(Part& part) : part_(part) {}
  void count(std::string_view, std::uint64_t) override {}
  void level(std::string_view, std::uint64_t) override {}
  [[nodiscard]] bool wants_all() const override { return false; }
  void times(std::string_view name, const kernel::Histogram& histogram) override {
    if (CborWriter* const place = part_.place_for(name)) {
      write_histogram(*place, histogram);
    }
  }

 private:
  Part& part_;
};

}  // namespace

void write_histogram(CborWriter& writer, const kernel::Histogram& histogram) {
  using kernel::Histogram;
  ResultMap map(writer);
  map.add("unit", "ns");
  map.key_for("buckets");
  const std::size_t token = writer.begin_array();
  std::size_t buckets = 0;
  std::uint64_t total = 0;
  for (std::uint32_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    const std::uint64_t samples = histogram.bucket(bucket);
    if (samples == 0) {
      continue;
    }
    writer.array(3);
    writer.number(bucket == 0 ? 0 : Histogram::bucket_end(bucket - 1) + 1);
    writer.number(Histogram::bucket_end(bucket));
    writer.number(samples);
    total += samples;
    ++buckets;
  }
  writer.end(token, buckets);
  // Of the buckets as they were read, so that they add up.
  map.add("count", total);
  map.add("total", histogram.sum());
  map.add("max", histogram.max());
  map.finish();
}

HandlerResult handle_histograms(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  const bool frozen = arguments.flag("frozen") && services.history != nullptr && services.history->frozen();
  const HistogramCopies* const copies = frozen ? services.history->histograms() : nullptr;
  if (frozen && copies == nullptr) {
    return refuse(abi::control::error::kFailed, "frozen", "there was no memory to keep them when the history ended");
  }
  CborWriter& writer = result.key_for("histograms");
  ResultMap entries(writer);
  Part part(arguments, writer, entries);
  if (copies != nullptr) {
    copies->for_each([&](std::string_view name, std::span<const std::byte> map) {
      if (CborWriter* const place = part.place_for(name)) {
        place->raw(map);
      }
    });
  } else {
    Histograms histograms(part);
    gather_metrics(services, nullptr, histograms);
  }
  entries.finish();
  result.add("left_off", part.left_off());
  if (frozen) {
    result.add_bool("frozen", true);
  }
  return Handled::Now;
}

/// "op_g_a: count=3 total=70 max=40", and below a line for each bucket.
void render_histograms(kernel::TextOutput& output, const CborValue& result) {
  CborItems entries(*find_cbor(result, "histograms"));
  while (const auto name = entries.next()) {
    const CborValue entry = *entries.next();
    const auto figure = [&entry](std::string_view key) { return find_cbor(entry, key)->number; };
    kernel::format_to(output, "{}: count={} total={} max={}\n", name->text(), figure("count"), figure("total"),
                      figure("max"));
    CborItems buckets(*find_cbor(entry, "buckets"));
    while (const auto bucket = buckets.next()) {
      CborItems parts(*bucket);
      const std::uint64_t from = parts.next()->number;
      const std::uint64_t to = parts.next()->number;
      kernel::format_to(output, "  {} to {}: {}\n", from, to, parts.next()->number);
    }
  }
  kernel::format_to(output, "left_off: {}\n", find_cbor(result, "left_off")->number);
}

}  // namespace guest::control
