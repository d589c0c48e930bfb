// A network that is ready to run: its weights and its tensors in regions, and one job that computes all of it.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "guest/kernel/named_error.hpp"
#include "guest/ml/memory.hpp"
#include "guest/ml/network.hpp"
#include "guest/npu/job.hpp"
#include "guest/npu/npu.hpp"

namespace guest::ml {

/// In threads, one at a time.
class Inference {
 public:
  /// Takes from `network` what it needs: it and the constants' memory are not used any more. `npu` outlives it. All
  /// that the NPU would check is checked here. Errors: ml-no-memory, ml-refused, and the NPU's.
  static std::expected<std::unique_ptr<Inference>, kernel::NamedError> make(npu::Npu& npu, const Network& network);
  ~Inference();
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;

  /// The memory of a tensor: write inputs there before run(), read outputs after it.
  [[nodiscard]] std::span<std::byte> bytes(Value value) const;
  /// Where the tensor lies from now on instead: in the caller's own region, [batch, elements] without gaps. Not
  /// while the job is in flight.
  void place(Value value, const Place& place);

  /// Computes, and waits for it. Errors: ml-failed, which names the layer and the NPU's reason; and the NPU's.
  kernel::Outcome run();
  /// What run() says of a job that somebody else has submitted and waited for.
  [[nodiscard]] kernel::Outcome verdict() const;
  /// For its options, and for who submits it itself.
  [[nodiscard]] npu::Job& job() { return *job_; }

  /// The worst case of one run in cycles of the model (docs/npu.md, Cost): it is known before the first one.
  [[nodiscard]] std::uint64_t cycles() const { return cycles_; }
  [[nodiscard]] std::size_t layers() const { return layers_.size(); }
  struct LayerCost {
    std::string_view name;
    std::uint64_t cycles;
  };
  /// Below layers().
  [[nodiscard]] LayerCost layer(std::size_t index) const;
  [[nodiscard]] std::uint64_t constant_bytes() const { return constants_->bytes().size(); }
  [[nodiscard]] std::uint64_t tensor_bytes() const { return tensors_->bytes().size(); }

 private:
  friend class Compiler;
  struct Tensor {
    std::uint64_t offset;  ///< in tensors_
    std::uint64_t bytes;
  };
  struct Layer {
    std::string_view name;
    std::uint64_t cycles;
    /// Which tensor each operand of the command is; -1: none, or a constant.
    std::array<std::int16_t, abi::npu::kMaxOperands> tensors;
  };
  explicit Inference(npu::Npu& npu) : npu_(npu) {}

  npu::Npu& npu_;
  std::unique_ptr<Memory> constants_;
  std::unique_ptr<Memory> tensors_;
  std::unique_ptr<npu::Job> job_;
  kernel::BoundedArray<Tensor, Network::kMaxTensors> places_;
  kernel::BoundedArray<Layer, Network::kMaxLayers> layers_;
  std::uint64_t cycles_ = 0;
};

}  // namespace guest::ml
