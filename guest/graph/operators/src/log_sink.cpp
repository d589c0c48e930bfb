#include <algorithm>

#include "guest/graph/schema.hpp"
#include "guest/kernel/format.hpp"
#include "sinks.hpp"

namespace guest::graph {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

/// Text is shown line by line; of anything else type, shape and first bytes.
class LogSink final : public OperatorCode {
 public:
  explicit LogSink(std::uint32_t per_second) : per_second_(per_second) {}

  void begin(std::uint64_t now_ns) override {
    second_began_ns_ = now_ns;
    written_ = 0;
    suppressed_ = 0;
  }

  kernel::Outcome fire(Firing& firing) override {
    if (firing.now_ns() - second_began_ns_ >= kSecondNs) {
      second_began_ns_ = firing.now_ns();
      written_ = 0;
    }
    const TensorRef& input = firing.input(0);
    if (input.info().schema == kSchemaText && input.info().dtype == DType::U8) {
      write_text(input);
    } else if (may_write()) {
      write_description(input);
    }
    return {};
  }

 private:
  static constexpr std::size_t kMaxLine = 160;
  static constexpr std::size_t kShownBytes = 16;

  bool may_write() {
    if (per_second_ != 0 && written_ == per_second_) {
      ++suppressed_;
      return false;
    }
    ++written_;
    if (suppressed_ > 0) {
      kernel::log_info("graph: {} lines were not shown", suppressed_);
      suppressed_ = 0;
    }
    return true;
  }

  void write_text(const TensorRef& input) {
    // Bytes as text: char may alias anything.
    std::string_view text(reinterpret_cast<const char*>(input.data().data()), input.data().size());
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      if (may_write()) {
        const std::string_view cut = line.substr(0, kMaxLine);
        kernel::log_info("graph: {}{}", kernel::escaped(cut), line.size() > kMaxLine ? "..." : "");
      }
    }
  }

  static void write_description(const TensorRef& input) {
    const TensorInfo& info = input.info();
    kernel::FixedText<3 * kShownBytes> bytes;
    for (const std::byte byte : input.data().first(std::min(input.data().size(), kShownBytes))) {
      kernel::format_to(bytes, " {:02x}", std::to_integer<unsigned>(byte));
    }
    kernel::log_info("graph: tensor {} of operator {}: {}{}{}", info.sequence, info.origin, describe(info).view(),
                     bytes.view(), input.data().size() > kShownBytes ? " ..." : "");
  }

  std::uint32_t per_second_;
  std::uint64_t second_began_ns_ = 0;
  std::uint32_t written_ = 0;  ///< in this second
  std::uint64_t suppressed_ = 0;
};

}  // namespace

MadeOperator make_log_sink(const Parameters& parameters) {
  return make_code<LogSink>(static_cast<std::uint32_t>(parameters.integer("per_second")));
}

}  // namespace guest::graph
