// What a model remembers of one sequence of tokens: keys and values of each position and layer.
//
//   for each layer:  keys [context, key_elements], values [context, key_elements]
#pragma once

#include <cstdint>
#include <expected>
#include <memory>

#include "guest/kernel/named_error.hpp"
#include "guest/llm/model/model.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/npu.hpp"

namespace guest::llm {

struct SequenceOptions {
  std::uint32_t context = 0;    ///< positions; 0: the model's. At most that
  bool half_precision = false;  ///< f16: half of the memory, and logits that differ a little
};

/// In threads. Not while a step runs with it: truncate() and its end.
class Sequence {
 public:
  /// Of no tokens. `npu` outlives it. Errors: ml-no-memory and llm-bad-context, which says what the model has; the
  /// NPU's.
  static std::expected<std::unique_ptr<Sequence>, kernel::NamedError> make(npu::Npu& npu, const Shape& shape,
                                                                           SequenceOptions options = {});

  /// Positions that are taken.
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t capacity() const { return context_; }
  /// Forgets what came after the first `size` tokens, at most size().
  void truncate(std::uint32_t size);
  [[nodiscard]] std::uint64_t bytes() const { return memory_->bytes().size(); }

 private:
  friend class Step;
  Sequence() = default;

  std::unique_ptr<ml::Memory> memory_;
  abi::npu::Type type_ = abi::npu::Type::F32;
  std::uint32_t context_ = 0;
  std::uint32_t size_ = 0;
  std::uint64_t plane_bytes_ = 0;  ///< of the keys of one layer
};

}  // namespace guest::llm
