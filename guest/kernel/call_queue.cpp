#include "guest/kernel/call_queue.hpp"

#include <bit>

namespace guest::kernel {

bool CallRing::push(const Call& call) {
  const std::uint32_t written = written_.load(std::memory_order_relaxed);  // only this CPU writes it
  // Acquire pairs with the release in run_one(): the reader has copied the call that this one overwrites.
  if (written - read_.load(std::memory_order_acquire) == kCapacity) {
    return false;
  }
  calls_[written % kCapacity] = call;
  // Release pairs with the acquire in run_one(): the call is complete there, and what the sender wrote before it.
  written_.store(written + 1, std::memory_order_release);
  return true;
}

bool CallRing::run_one() {
  const std::uint32_t read = read_.load(std::memory_order_relaxed);  // only this CPU writes it
  if (read == written_.load(std::memory_order_acquire)) {
    return false;
  }
  const Call call = calls_[read % kCapacity];
  // Before the call, so that it makes room even if its function queues another one.
  read_.store(read + 1, std::memory_order_release);
  call.function(call.context);
  return true;
}

CallPush CallQueue::push(std::uint32_t source, const Call& call) {
  if (!from_[source].push(call)) {
    return CallPush::Full;
  }
  // Release: whoever takes the bit in run() sees the ring as it is now. No call is lost: run() clears all bits at once
  // before it looks at the rings, so a bit is either seen by that run, or it is set after it; then the first one to be
  // set finds zero and has the target interrupted again.
  const std::uint32_t before = pending_.fetch_or(std::uint32_t{1} << source, std::memory_order_release);
  return before == 0 ? CallPush::QueuedFirst : CallPush::Queued;
}

void CallQueue::run() {
  // Acquire pairs with the release in push().
  std::uint32_t sources = pending_.exchange(0, std::memory_order_acquire);
  std::uint64_t count = 0;
  while (sources != 0) {
    CallRing& ring = from_[std::countr_zero(sources)];
    sources &= sources - 1;
    // At most what fits: a sender that is faster than this CPU must not keep it in the handler. It has set its bit
    // again for what it added since, so the rest has its own interrupt.
    for (std::uint32_t i = 0; i < CallRing::kCapacity && ring.run_one(); ++i) {
      ++count;
    }
  }
  // Only the target writes it.
  runs_.store(runs_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

}  // namespace guest::kernel
