#include "synthetic_source.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "guest/graph/numeric/numeric.hpp"
#include "random.hpp"

namespace guest::graph {
namespace {

class SyntheticSource final : public OperatorCode {
 public:
  explicit SyntheticSource(const Parameters& parameters)
      : pace_(parameters.integer("count"), parameters.integer("period_us")),
        seed_(static_cast<std::uint64_t>(parameters.integer("seed"))),
        elements_(static_cast<std::uint32_t>(parameters.integer("elements"))),
        dtype_(find_dtype(parameters.text("dtype")).value_or(DType::U8)),
        is_noise_(parameters.text("pattern") == "noise"),
        is_ramp_(parameters.text("pattern") == "ramp") {}

  void begin(std::uint64_t now_ns) override { pace_.begin(now_ns); }
  std::uint64_t ready_at(std::uint64_t /*now_ns*/) override { return pace_.ready_at(); }

  kernel::Outcome fire(Firing& firing) override {
    auto made = firing.allocate(dtype_, {.rank = 1, .dims = {elements_}});
    if (!made) {
      return std::unexpected(made.error());
    }
    const std::uint64_t number = pace_.fired();
    const std::span<std::byte> data = made->writable();
    if (dtype_ == DType::F32 || dtype_ == DType::F64) {
      write_floats(data, number);
    } else {
      write_integers(data, number);
    }
    firing.send(0, *std::move(made));
    if (pace_.step()) {
      firing.finish();
    }
    return {};
  }

 private:
  [[nodiscard]] std::uint64_t value(std::uint64_t number, std::uint32_t element) const {
    if (is_noise_) {
      return random_at(mix(seed_) ^ number, element);
    }
    return is_ramp_ ? number + element : number;
  }

  /// The low bits of the value: modulo the type's range.
  void write_integers(std::span<std::byte> data, std::uint64_t number) const {
    const std::uint32_t size = size_of(dtype_);
    for (std::uint32_t i = 0; i < elements_; ++i) {
      const std::uint64_t bits = value(number, i);
      std::memcpy(data.data() + std::size_t{i} * size, &bits, size);
    }
  }

  /// Modulo 2^24, so that f32 has each of them exactly.
  void write_floats(std::span<std::byte> data, std::uint64_t number) const {
    constexpr std::uint32_t kMask = (1U << 24) - 1;
    constexpr std::uint32_t kPiece = 64;
    std::uint32_t piece[kPiece];
    const std::uint32_t size = size_of(dtype_);
    for (std::uint32_t first = 0; first < elements_; first += kPiece) {
      const std::uint32_t count = std::min(kPiece, elements_ - first);
      for (std::uint32_t i = 0; i < count; ++i) {
        piece[i] = static_cast<std::uint32_t>(value(number, first + i)) & kMask;
      }
      numeric::convert({piece, count}, dtype_, data.subspan(std::size_t{first} * size, std::size_t{count} * size));
    }
  }

  Pace pace_;
  std::uint64_t seed_;
  std::uint32_t elements_;
  DType dtype_;
  bool is_noise_;
  bool is_ramp_;
};

}  // namespace

MadeOperator make_synthetic_source(const Parameters& parameters) { return make_code<SyntheticSource>(parameters); }

}  // namespace guest::graph
