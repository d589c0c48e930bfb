// A hostile driver: guest memory is the input, and between steps the input writes to it again.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "vmm/virtio/testing/fake_driver.hpp"

using namespace vmm;
using namespace vmm::virtio;

namespace {

/// Uses a chain as a device would: reads, writes, and touches both ends of what readv would be given, so that
/// AddressSanitizer sees what lies outside.
void use(const DescriptorChain& chain, Writer& writer) {
  Reader reader = chain.reader();
  std::byte bytes[64] = {};
  (void)reader.read(bytes);
  iovec ranges[4];
  const std::size_t count = writer.peek_io(ranges, 100);
  for (std::size_t i = 0; i < count; ++i) {
    auto* range = static_cast<volatile std::byte*>(ranges[i].iov_base);
    range[0] = std::byte{1};
    range[ranges[i].iov_len - 1] = std::byte{2};
  }
  (void)writer.write(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  constexpr std::size_t kBytes = 16 * 1024;
  constexpr std::uint64_t kBase = virtio::testing::FakeGuest::kBase;
  const virtio::testing::FakeGuest guest(kBytes);
  // Everything close together, so that inputs reach it: 16 descriptors, then the rings, then buffers.
  auto queue = Virtqueue::create(guest.memory(), {.size = 16,
                                                  .descriptors = Gpa(kBase),
                                                  .available = Gpa(kBase + 0x100),
                                                  .used = Gpa(kBase + 0x140),
                                                  .event_index = (data[0] & 1) != 0,
                                                  .indirect = (data[0] & 2) != 0,
                                                  .next_index = data[1]});
  if (!queue) __builtin_trap();
  const std::size_t steps = data[2] % 32;
  const auto input = std::as_bytes(std::span(data + 3, size - 3));
  (void)guest.memory()->copy_in(Gpa(kBase), input.first(std::min(input.size(), kBytes)));
  DescriptorChain chain;
  for (std::size_t step = 0; step < steps; ++step) {
    const auto popped = queue->pop(chain);
    if (!popped && popped.error().message().empty()) __builtin_trap();
    if (!popped) break;
    if (!*popped) {
      (void)queue->enable_kicks();
      continue;
    }
    Writer writer = chain.writer();
    use(chain, writer);
    if (step % 5 == 4) {
      queue->undo_pop();
    } else {
      queue->push(chain.head(), static_cast<std::uint32_t>(writer.consumed()));
      (void)queue->publish();
    }
    // The driver changes something while we work.
    const std::size_t from = (step * 37) % input.size();
    const auto piece = input.subspan(from, std::min<std::size_t>(16, input.size() - from));
    (void)guest.memory()->copy_in(Gpa(kBase + (step * 53) % 0x200), piece);
  }
  return 0;
}
