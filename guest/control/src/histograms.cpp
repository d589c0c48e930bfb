// histograms: times as they were counted, for who makes percentiles and pictures of them.
#include "handlers.hpp"
#include "metrics.hpp"
#include "observe_commands.hpp"

namespace guest::control {

namespace {

/// An answer that is longer has no room for another one, however many buckets that has.
constexpr std::size_t kFullBytes = std::size_t{48} * 1024;

class Histograms final : public MetricSink {
 public:
  Histograms(std::string_view prefix, std::uint64_t skip, CborWriter& writer, ResultMap& into)
      : prefix_(prefix), skip_(skip), writer_(writer), into_(into) {}
  void count(std::string_view, std::uint64_t) override {}
  void level(std::string_view, std::uint64_t) override {}
  [[nodiscard]] bool wants_all() const override { return false; }
  void times(std::string_view name, const kernel::Histogram& histogram) override {
    if (!name.starts_with(prefix_)) {
      return;
    }
    if (skip_ > 0) {
      --skip_;
    } else if (left_off_ > 0 || writer_.written().size() > kFullBytes) {
      ++left_off_;
    } else {
      add(name, histogram);
    }
  }
  [[nodiscard]] std::uint64_t left_off() const { return left_off_; }

 private:
  void add(std::string_view name, const kernel::Histogram& histogram) {
    using kernel::Histogram;
    ResultMap entry(into_.key_for(name));
    entry.add("unit", "ns");
    CborWriter& writer = entry.key_for("buckets");
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
    entry.add("count", total);
    entry.add("total", histogram.sum());
    entry.add("max", histogram.max());
    entry.finish();
  }

  std::string_view prefix_;
  std::uint64_t skip_;
  CborWriter& writer_;
  ResultMap& into_;
  std::uint64_t left_off_ = 0;
};

}  // namespace

HandlerResult handle_histograms(Services& services, const Arguments& arguments, Caller&, ResultMap& result) {
  CborWriter& writer = result.key_for("histograms");
  ResultMap entries(writer);
  Histograms histograms(arguments.text("prefix"), arguments.number("skip"), writer, entries);
  gather_metrics(services, nullptr, histograms);
  entries.finish();
  result.add("left_off", histograms.left_off());
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
