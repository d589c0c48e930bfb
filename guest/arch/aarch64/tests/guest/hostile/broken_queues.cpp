#include <cstring>

#include "guest/kernel/threads/threads.hpp"
#include "vandal.hpp"

namespace guest::hostile {
namespace {

using abi::virtio::Descriptor;
using abi::virtio::kDescIndirect;
using abi::virtio::kDescNext;
using abi::virtio::kDescWrite;

/// Where no memory is, or it ends.
constexpr std::uint64_t kNowhere[] = {0, 0x0a00'0000, std::uint64_t{1} << 40, ~std::uint64_t{0} - 15};

}  // namespace

/// Makes the chain whose head is descriptor 0 one that no device may follow. The others stay as they are.
void Vandal::break_chain(RawQueue& queue, std::uint16_t index) {
  const drivers::DmaBuffer request = arena_.request(index, 0);
  const std::uint64_t address = kernel::raw(request.address);
  switch (random_.below(7)) {
    case 0:  // a loop
      queue.set_descriptor(0, {.addr = address, .len = 64, .flags = kDescNext, .next = 1});
      queue.set_descriptor(1, {.addr = address, .len = 64, .flags = kDescNext, .next = 0});
      return;
    case 1:
      queue.set_descriptor(
          0, {.addr = kNowhere[random_.below(std::size(kNowhere))], .len = 64, .flags = kDescNext, .next = 1});
      return;
    case 2:  // beyond the end of memory, by its length
      queue.set_descriptor(0, {.addr = address, .len = UINT32_MAX, .flags = kDescNext, .next = 1});
      return;
    case 3:  // no room for an answer
      queue.set_descriptor(0, {.addr = address, .len = 64, .flags = 0, .next = 0});
      return;
    case 4:  // out of the table
      queue.set_descriptor(0, {.addr = address,
                               .len = 64,
                               .flags = kDescNext,
                               .next = static_cast<std::uint16_t>(64 + random_.below(60000))});
      return;
    case 5: {  // a table in the request that points to itself
      const Descriptor inner{.addr = address, .len = 64, .flags = kDescNext, .next = 0};
      std::memcpy(request.bytes.data(), &inner, sizeof inner);
      queue.set_descriptor(0,
                           {.addr = address, .len = random_.one_in(2) ? 16U : 17U, .flags = kDescIndirect, .next = 0});
      return;
    }
    default:  // the answer first
      queue.set_descriptor(0, {.addr = kernel::raw(arena_.reply(index, 0).address),
                               .len = kReplyBytes,
                               .flags = kDescNext | kDescWrite,
                               .next = 1});
      queue.set_descriptor(1, {.addr = address, .len = 64, .flags = 0, .next = 0});
  }
}

/// Leaves one of the queues unusable while jobs run, and begins anew after a while.
void Vandal::break_queue() {
  ++totals_.broken;
  const auto index = static_cast<std::uint16_t>(random_.below(2));
  RawQueue& queue = queues_[index];
  if (random_.one_in(4)) {
    queue.set_available(static_cast<std::uint16_t>(queue.available() + RawQueue::kSize + 1 + random_.below(30000)));
  } else if (random_.one_in(4)) {
    queue.offer(static_cast<std::uint16_t>(RawQueue::kSize + random_.below(60000)));
  } else {
    break_chain(queue, index);
    queue.offer(0);
  }
  transport_.notify(index);
  threads::sleep_for(random_.below(4) * 500'000);
  transport_.notify(static_cast<std::uint16_t>(1 - index));
  // Whether the device has seen it or not, what comes back now is not looked at.
  set_up(random_.next() & (abi::virtio::feature::bit(abi::virtio::feature::kRingIndirectDesc)));
  register_all();
}

}  // namespace guest::hostile
