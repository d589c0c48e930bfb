// The tensors of a graph as memory that the NPU reaches, so that it takes and writes them where they lie.
#pragma once

#include <expected>
#include <memory>

#include "guest/graph/tensor.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/ml/tensor.hpp"
#include "guest/npu/job.hpp"

namespace guest::graph {

/// Of operators' jobs: a server that is late has its graph late, but its graph does not fail for it.
inline constexpr std::uint64_t kNoDeadline = npu::JobOptions::kNoDeadline;

/// An operator's share of its graph's region. The first operator of a graph that uses it registers it, and the last one
/// that goes releases it. In threads.
class NpuRegion {
 public:
  NpuRegion() = default;
  /// No job that names the region is in flight.
  ~NpuRegion();
  NpuRegion(const NpuRegion&) = delete;
  NpuRegion& operator=(const NpuRegion&) = delete;

  /// Where a tensor lies, which has elements and is of the operator's graph. Errors: graph-no-memory, the NPU's.
  std::expected<ml::Place, kernel::NamedError> place_of(const TensorRef& tensor);

 private:
  struct Shared;
  struct List;
  static List& list();
  static kernel::Outcome join(const TensorArena& arena, Shared*& shared);

  Shared* shared_ = nullptr;  ///< null before the first tensor
};

}  // namespace guest::graph
