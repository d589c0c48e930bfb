#include "guest/control/histogram_copies.hpp"

#include <memory>
#include <new>

#include "histogram_answer.hpp"
#include "metrics.hpp"

namespace guest::control {

class HistogramCopies::Taker final : public MetricSink {
 public:
  Taker(std::span<std::byte> memory, Buffer& entries) : memory_(memory), entries_(entries) {}
  void count(std::string_view, std::uint64_t) override {}
  void level(std::string_view, std::uint64_t) override {}
  [[nodiscard]] bool wants_all() const override { return false; }
  void times(std::string_view name, const kernel::Histogram& histogram) override {
    CborWriter writer(memory_);
    write_histogram(writer, histogram);
    kernel::require(!writer.overflowed(), "a histogram is longer than it can be");
    const Head head = {.name_bytes = static_cast<std::uint32_t>(name.size()),
                       .map_bytes = static_cast<std::uint32_t>(writer.written().size())};
    good_ = good_ && entries_.reserve(sizeof(head) + name.size() + writer.written().size()) &&
            entries_.append(std::as_bytes(std::span(&head, 1))) && entries_.append(std::as_bytes(std::span(name))) &&
            entries_.append(writer.written());
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  std::span<std::byte> memory_;
  Buffer& entries_;
  bool good_ = true;
};

bool HistogramCopies::take(const Services& services) {
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[kMaxHistogramBytes]);
  if (memory == nullptr) {
    return false;
  }
  Taker taker({memory.get(), kMaxHistogramBytes}, entries_);
  gather_metrics(services, nullptr, taker);
  if (!taker.good()) {
    entries_.clear();
  }
  return taker.good();
}

}  // namespace guest::control
