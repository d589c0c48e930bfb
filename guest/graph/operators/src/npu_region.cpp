#include "npu_region.hpp"

#include <new>

#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/mutex.hpp"
#include "guest/npu/npu.hpp"

namespace guest::graph {

/// The region of one graph's arena.
struct NpuRegion::Shared {
  const TensorArena* arena;
  std::uint32_t handle = abi::npu::kNoRegion;
  std::uint32_t users = 0;
  kernel::ListLink<Shared> link{};
};

/// The regions of all graphs.
struct NpuRegion::List {
  threads::Mutex mutex;  ///< of all of it; held while the NPU is asked, which takes its time
  kernel::IntrusiveList<Shared, &Shared::link> regions;
};

NpuRegion::List& NpuRegion::list() {
  static constinit List list;
  return list;
}

/// Finds or registers the region of `arena`, and counts one more user. With the mutex held.
kernel::Outcome NpuRegion::join(const TensorArena& arena, Shared*& shared) {
  Shared* found = list().regions.front();
  while (found != nullptr && found->arena != &arena) {
    found = list().regions.after(*found);
  }
  if (found == nullptr) {
    std::unique_ptr<Shared> made(new (std::nothrow) Shared{.arena = &arena});
    if (made == nullptr) {
      return kernel::fail("graph-no-memory", "no {} bytes for the region of the tensors", sizeof(Shared));
    }
    const auto handle =
        npu::npu().register_region(arena.memory(), abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite);
    if (!handle) {
      return std::unexpected(handle.error());
    }
    made->handle = *handle;
    found = made.release();
    list().regions.push_back(*found);
  }
  ++found->users;
  shared = found;
  return {};
}

NpuRegion::~NpuRegion() {
  if (shared_ == nullptr) {
    return;
  }
  const threads::MutexGuard guard(list().mutex);
  if (--shared_->users == 0) {
    list().regions.remove(*shared_);
    // Of a device that does not answer there is nobody to tell: the graph's memory may go, since no job names it.
    (void)npu::npu().release_region(shared_->handle);
    delete shared_;
  }
}

std::expected<ml::Place, kernel::NamedError> NpuRegion::place_of(const TensorRef& tensor) {
  const TensorArena& arena = *tensor.arena();
  if (shared_ == nullptr) {
    const threads::MutexGuard guard(list().mutex);
    if (const kernel::Outcome joined = join(arena, shared_); !joined) {
      return std::unexpected(joined.error());
    }
  }
  kernel::require(shared_->arena == &arena && !tensor.data().empty(), "a tensor of another graph, or of no elements");
  return ml::Place{.region = shared_->handle,
                   .offset = static_cast<std::uint64_t>(tensor.data().data() - arena.memory().data())};
}

}  // namespace guest::graph
