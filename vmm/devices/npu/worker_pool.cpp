#include "worker_pool.hpp"

#include <algorithm>

namespace vmm::npu {
namespace {

/// Pieces for each thread: more than one, since threads do not start at once; few, since each costs an atomic access.
constexpr std::uint64_t kPiecesPerThread = 4;

}  // namespace

WorkerPool::WorkerPool(unsigned helpers, std::function<void()> thread_start) : thread_start_(std::move(thread_start)) {
  for (unsigned i = 0; i < helpers; ++i) threads_.emplace_back([this] { help(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  offered_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::optional<abi::npu::Reason> WorkerPool::run(::npu::Kernel kernel, const ::npu::Checked& command,
                                                ::npu::Units units) {
  const std::uint64_t pieces = (threads_.size() + 1) * kPiecesPerThread;
  if (threads_.empty() || units.count < 2) return kernel(command, units);
  Task task{.kernel = kernel,
            .command = &command,
            .end = units.first + units.count,
            .chunk = std::max<std::uint64_t>(1, units.count / pieces),
            .next = units.first};
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    ++offers_;
  }
  offered_.notify_all();
  work(task);
  std::unique_lock lock(mutex_);
  task_ = nullptr;  // who comes too late must not find a task that is gone
  left_.wait(lock, [this] { return joined_ == 0; });
  // Relaxed: the mutex has ordered it.
  const auto failure = task.failure.load(std::memory_order_relaxed);
  if (failure == 0) return std::nullopt;
  return static_cast<abi::npu::Reason>(failure);
}

void WorkerPool::work(Task& task) {
  for (;;) {
    // Relaxed: it only deals out numbers; the mutex orders what the kernels read and write.
    const std::uint64_t first = task.next.fetch_add(task.chunk, std::memory_order_relaxed);
    if (first >= task.end) return;
    const ::npu::Units units{.first = first, .count = std::min(task.chunk, task.end - first)};
    if (const auto reason = task.kernel(*task.command, units)) {
      task.failure.store(static_cast<std::uint32_t>(*reason), std::memory_order_relaxed);
      task.next.store(task.end, std::memory_order_relaxed);  // a hint: the others need not go on
      return;
    }
  }
}

void WorkerPool::help() {
  if (thread_start_) thread_start_();
  std::uint64_t seen = 0;  // offers that have no more units for us
  std::unique_lock lock(mutex_);
  for (;;) {
    offered_.wait(lock, [&] { return stopping_ || (task_ != nullptr && offers_ != seen); });
    if (stopping_) return;
    Task* const task = task_;
    seen = offers_;
    ++joined_;
    lock.unlock();
    work(*task);
    lock.lock();
    if (--joined_ == 0) left_.notify_one();
  }
}

}  // namespace vmm::npu
