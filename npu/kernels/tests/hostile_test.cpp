// The memory's owner writes while a command runs. What comes out is anything; nothing outside is touched, and it ends
// (AddressSanitizer is not told of the race: it is the point).
#include <atomic>
#include <thread>

#include "npu/simd/kernels.hpp"
#include "run.hpp"

namespace npu::testing {
namespace {

/// Writes noise over all operands of a scene until it goes.
class Scribbler {
 public:
  explicit Scribbler(Scene& scene) {
    for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
      if (scene.has(i)) {
        targets_.push_back(scene.bytes(i));
      }
    }
    thread_ = std::thread([this] { scribble(); });
  }
  ~Scribbler() {
    stop_ = true;
    thread_.join();
  }
  Scribbler(const Scribbler&) = delete;
  Scribbler& operator=(const Scribbler&) = delete;

  [[nodiscard]] std::uint64_t rounds() const { return rounds_; }

 private:
  void scribble() {
    Noise noise;
    while (!stop_) {
      for (const std::span<std::byte> bytes : targets_) {
        const std::uint64_t value = noise();
        // A byte of each word, seen as the integer that an atomic store needs.
        for (std::size_t at = noise() % 4; at < bytes.size(); at += 4) {
          const auto byte = static_cast<std::uint8_t>(value >> at % 57);
          std::atomic_ref(*reinterpret_cast<std::uint8_t*>(&bytes[at])).store(byte, std::memory_order_relaxed);
        }
      }
      rounds_ += 1;
    }
  }

  std::vector<std::span<std::byte>> targets_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> rounds_ = 0;
  std::thread thread_;
};

class HostileMemory : public ::testing::TestWithParam<const char*> {};

void expect_no_way_out(const char* name, const KernelSet& set) {
  Scene scene = example(name);
  const auto checked = scene.check();
  ASSERT_TRUE(checked);
  const auto kernel = set.kernels[static_cast<unsigned>(checked->opcode)];
  const Scribbler scribbler(scene);
  for (int i = 0; i < 200 || scribbler.rounds() < 3; ++i) {
    const auto reason = kernel(*checked, {.first = 0, .count = partition(*checked).units});
    ASSERT_TRUE(!reason || *reason == abi::npu::Reason::IndexRange);
  }
}

TEST_P(HostileMemory, is_no_way_out) {
  expect_no_way_out(GetParam(), scalar_kernels());
  expect_no_way_out(GetParam(), simd_kernels());
}

// Those whose work depends on what is in memory: ids, a heap in the output, shifts, scales.
INSTANTIATE_TEST_SUITE_P(Commands, HostileMemory,
                         ::testing::Values("embed rows f32", "embed rows q4_0", "top k", "arg max f32", "gemm i8",
                                           "gemm f32 q8_0", "rope", "attention f16", "copy f32 to i32"));

TEST(HostileIds, an_id_is_the_one_that_was_checked) {
  Scene scene(abi::npu::Opcode::EmbedRows, {4096, 8, 1});
  scene.operand({0, abi::npu::Type::F32, 4096, 1}).operand({1, abi::npu::Type::F32, 8, 1});
  scene.operand({2, abi::npu::Type::I32, 1, 4096});
  const auto checked = scene.check();
  ASSERT_TRUE(checked);
  std::atomic<bool> stop = false;
  std::thread flip([&] {
    // Now in the table, now far from it, as often as can be.
    auto* const ids = reinterpret_cast<std::int32_t*>(scene.bytes(2).data());
    for (std::int32_t id = 7; !stop; id ^= 0x4000'0000) {
      for (int i = 0; i < 4096; ++i) {
        std::atomic_ref(ids[i]).store(id, std::memory_order_relaxed);
      }
    }
  });
  for (int i = 0; i < 200; ++i) {
    scalar_kernels().kernels[static_cast<unsigned>(checked->opcode)](*checked,
                                                                     {.first = 0, .count = partition(*checked).units});
  }
  stop = true;
  flip.join();
}

}  // namespace
}  // namespace npu::testing
