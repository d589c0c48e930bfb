#include "guest/llm/model/sequence.hpp"

#include <new>

#include "guest/kernel/panic.hpp"

namespace guest::llm {

std::expected<std::unique_ptr<Sequence>, kernel::NamedError> Sequence::make(npu::Npu& npu, const Shape& shape,
                                                                            SequenceOptions options) {
  const std::uint32_t context = options.context == 0 ? shape.context : options.context;
  if (context > shape.context) {
    return kernel::fail("llm-bad-context", "a sequence of {} positions, expected at most the model's {}", context,
                        shape.context);
  }
  std::unique_ptr<Sequence> sequence(new (std::nothrow) Sequence);
  if (sequence == nullptr) {
    return kernel::fail("llm-no-memory", "no memory for a sequence");
  }
  sequence->context_ = context;
  sequence->type_ = options.half_precision ? abi::npu::Type::F16 : abi::npu::Type::F32;
  const std::uint64_t element_bytes = options.half_precision ? 2 : 4;
  // At most 2^17 positions, 2^18 elements and 2^8 layers: fits.
  sequence->plane_bytes_ = context * element_bytes * shape.key_elements();
  auto memory = ml::Memory::make(2 * sequence->plane_bytes_ * shape.layers);
  if (!memory) {
    return std::unexpected(memory.error());
  }
  sequence->memory_ = std::move(*memory);
  if (const kernel::Outcome enlisted = sequence->memory_->enlist(npu, ml::Memory::kReadWrite); !enlisted) {
    return std::unexpected(enlisted.error());
  }
  return sequence;
}

void Sequence::truncate(std::uint32_t size) {
  kernel::require(size <= size_, "a sequence is cut behind its end");
  size_ = size;
}

}  // namespace guest::llm
