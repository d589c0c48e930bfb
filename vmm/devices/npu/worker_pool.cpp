#include "worker_pool.hpp"

#include <algorithm>
#include <chrono>

namespace vmm::npu {
namespace {

/// How long a thread looks whether it goes on before it sleeps. To wake it costs both of them some microseconds, and
/// slices and commands follow each other more quickly than that.
constexpr std::chrono::microseconds kSpin{20};

/// @return false: kSpin is over
template <typename Done>
bool spin_until(Done&& done) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    if (done()) return true;
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

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

std::optional<abi::npu::Reason> WorkerPool::run(::npu::Kernel kernel, const ::npu::Checked& command, ::npu::Units units,
                                                std::uint64_t least) {
  if (threads_.empty() || units.count < 2) return kernel(command, units);
  Task task{.kernel = kernel,
            .command = &command,
            .end = units.first + units.count,
            .least = least,
            .threads = threads_.size() + 1,
            .next = units.first};
  offer(task);
  work(task);
  {
    const std::lock_guard lock(mutex_);
    task_ = nullptr;  // who comes too late must not find a task that is gone
  }
  // Relaxed: the mutex orders what they have done.
  spin_until([this] { return joined_.load(std::memory_order_relaxed) == 0; });
  std::unique_lock lock(mutex_);
  left_.wait(lock, [this] { return joined_ == 0; });
  const auto failure = task.failure.load(std::memory_order_relaxed);
  if (failure == 0) return std::nullopt;
  return static_cast<abi::npu::Reason>(failure);
}

void WorkerPool::offer(Task& task) {
  bool must_wake = false;
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    ++offers_;
    must_wake = asleep_ != 0;
  }
  if (must_wake) offered_.notify_all();
}

/// None are left: no units.
::npu::Units WorkerPool::take_share(Task& task) {
  // Relaxed: it only deals out numbers; the mutex orders what the kernels read and write.
  std::uint64_t first = task.next.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t left = task.end - std::min(first, task.end);
    const std::uint64_t count = std::min(std::max(task.least, left / task.threads), left);
    if (count == 0 || task.next.compare_exchange_weak(first, first + count, std::memory_order_relaxed)) {
      return {.first = first, .count = count};
    }
  }
}

void WorkerPool::work(Task& task) {
  for (;;) {
    const ::npu::Units units = take_share(task);
    if (units.count == 0) return;
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
  for (;;) {
    spin_until([&] { return offers_.load(std::memory_order_relaxed) != seen; });
    std::unique_lock lock(mutex_);
    ++asleep_;
    offered_.wait(lock, [&] { return stopping_ || (task_ != nullptr && offers_ != seen); });
    --asleep_;
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
