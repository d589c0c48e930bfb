// Any bytes: a model that is accepted is refused by the checker of commands, or has a cost and can be placed.
#include <cstdint>
#include <cstdlib>

#include "guest/ml/inference.hpp"
#include "guest/ml/model.hpp"

namespace {

namespace kernel = guest::kernel;
namespace ml = guest::ml;

/// Takes regions, and runs nothing.
class NoNpu final : public guest::npu::Npu {
 public:
  [[nodiscard]] const guest::npu::Info& info() const override { return info_; }
  std::expected<std::uint32_t, kernel::NamedError> register_region(std::span<std::byte>, std::uint32_t) override {
    ++regions;
    return ++last_;
  }
  kernel::Outcome release_region(std::uint32_t) override {
    --regions;
    return {};
  }
  kernel::Outcome submit(guest::npu::Job&) override { std::abort(); }
  void abort(guest::npu::Job&) override { std::abort(); }
  kernel::Outcome reset() override { std::abort(); }
  kernel::Outcome flush() override { std::abort(); }
  kernel::Outcome set_power(abi::npu::Power) override { std::abort(); }
  std::expected<abi::npu::Counters, kernel::NamedError> read_counters() override { std::abort(); }
  int regions = 0;

 private:
  guest::npu::Info info_ = {.name = "none",
                            .max_commands = 4096,
                            .max_job_cycles = 16'000'000'000,
                            .max_command_cycles = 4'000'000'000,
                            .clock_hz = 1'000'000'000,
                            .bytes_per_cycle = 32,
                            .f32_macs_per_cycle = 64,
                            .i8_macs_per_cycle = 256,
                            .f32_ops_per_cycle = 16};
  std::uint32_t last_ = 0;
};

void expect(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// What the tensors of a network take.
std::uint64_t bytes_of(const ml::Network& network) {
  std::uint64_t bytes = 0;
  for (std::uint16_t i = 0; i < network.tensors().size(); ++i) {
    bytes += network.bytes_of({i});
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 22;  // more takes too long to clear
  for (const abi::npu::Type input : {abi::npu::Type::U8, abi::npu::Type::F32}) {
    const auto model = ml::read_classifier(std::as_bytes(std::span(data, size)), {.input = input});
    if (!model) {
      expect(!model.error().detail.view().empty());
      return 0;
    }
    if (bytes_of(*model->network) > kMostBytes) {
      return 0;
    }
    NoNpu none;
    {
      const auto inference = ml::Inference::make(none, *model->network);
      if (inference) {
        expect((*inference)->cycles() > 0 && (*inference)->bytes(model->label).size() == sizeof(std::int32_t));
        (*inference)->place(model->scores, {.region = 99, .offset = 64});
      } else {
        expect(inference.error().name == "ml-refused");
      }
    }
    expect(none.regions == 0);
  }
  return 0;
}
