// An arena with its memory, for tests.
#pragma once

#include <cstddef>
#include <vector>

#include "guest/graph/tensor.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::graph {

struct ArenaFixture {
  ArenaFixture(std::uint32_t tensors, std::uint64_t data_bytes) : memory(TensorArena::memory_for(tensors, data_bytes)) {
    kernel::require(arena.start(memory, tensors) == kernel::Status::Ok, "no arena");
  }
  /// A tensor of `count` bytes; panics where there is none.
  TensorRef bytes(std::uint32_t count, std::uint64_t sequence = 0) {
    const std::uint32_t dims[] = {count};
    auto tensor = arena.allocate({.dtype = DType::U8, .shape = shape_of(dims), .sequence = sequence});
    kernel::require(tensor.has_value(), "no tensor");
    return std::move(*tensor);
  }

  std::vector<std::byte> memory;
  TensorArena arena;
};

}  // namespace guest::graph
