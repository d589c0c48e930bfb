// Packets of a hostile host into the guest's vsock protocol, mixed with calls of stream users, a link that fills up and
// memory that runs out. Sanitizers and the kernel's own checks are the judges; the invariants at the end as well.
#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "guest/drivers/stream_services.hpp"
#include "guest/drivers/vsock_mux.hpp"

namespace {

using abi::vsock::PacketHeader;
using guest::drivers::VsockMux;

constexpr std::size_t kLargestPayload = 4052;
constexpr std::size_t kMaxAllocation = 1U << 18;

class Link final : public guest::drivers::VsockLink {
 public:
  std::size_t payload_room() override { return room == 0 ? 0 : kLargestPayload; }
  bool send(const PacketHeader&, std::span<const std::byte> payload) override {
    if (room == 0 || payload.size() > kLargestPayload) return false;
    --room;
    return true;
  }
  void request_service() override {}
  bool idle() override { return true; }
  std::size_t room = 0;
};

class Buffers final : public guest::drivers::BufferMemory {
 public:
  std::byte* allocate(std::size_t bytes) override {
    if (fail || bytes > kMaxAllocation) return nullptr;
    auto* const block = new std::byte[bytes];
    blocks.insert(block);
    return block;
  }
  void free(std::byte* block) override {
    if (blocks.erase(block) != 1) __builtin_trap();
    delete[] block;
  }
  std::set<std::byte*> blocks;
  bool fail = false;
};

/// Does with its stream what the input says.
class User final : public guest::kernel::StreamListener, private guest::kernel::StreamHandler {
 public:
  guest::kernel::StreamHandler* on_connect(guest::kernel::Stream& stream, std::uint32_t) override {
    streams.push_back(&stream);
    return this;
  }
  std::vector<guest::kernel::Stream*> streams;
  std::uint8_t behaviour = 0;

 private:
  void on_readable(guest::kernel::Stream& stream) override {
    std::byte buffer[64] = {};
    if ((behaviour & 1) != 0) (void)stream.read(buffer);
    if ((behaviour & 2) != 0) stream.consume(stream.peek().size());
    if ((behaviour & 4) != 0) (void)stream.write(buffer);
    if ((behaviour & 8) != 0) stream.close();
    if ((behaviour & 16) != 0) stream.reset();
  }
  void on_writable(guest::kernel::Stream& stream) override { on_readable(stream); }
  void on_closed(guest::kernel::Stream& stream) override {
    const auto at = std::find(streams.begin(), streams.end(), &stream);
    if (at == streams.end()) __builtin_trap();  // closed twice, or never opened
    streams.erase(at);
  }
};

struct Input {
  const std::uint8_t* data;
  std::size_t size;
  std::uint8_t byte() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
  std::vector<std::byte> bytes(std::size_t count) {
    count = std::min(count, size);
    std::vector<std::byte> out(count);
    if (count != 0) std::memcpy(out.data(), data, count);
    data += count;
    size -= count;
    return out;
  }
};

/// A packet that is mostly right, so that the input reaches deep states.
std::vector<std::byte> plausible(Input& input) {
  static constexpr std::uint32_t kPorts[] = {1, 7, 9, 19};
  const std::uint8_t shape = input.byte();
  const std::uint8_t ends = input.byte();
  const auto payload = input.bytes((shape & 8) != 0 ? input.byte() * std::size_t{32} : 0);
  const PacketHeader header{.src_cid = 2,
                            .dst_cid = 3,
                            .src_port = ends % 4U,
                            .dst_port = kPorts[(shape >> 4) % 4],
                            .len = static_cast<std::uint32_t>(payload.size()),
                            .type = 1,
                            .op = static_cast<std::uint16_t>(shape % 8),
                            .flags = (ends >> 2) % 4U,
                            .buf_alloc = input.byte() * 64U,
                            .fwd_cnt = input.byte() * 16U};
  std::vector<std::byte> packet(sizeof(header));
  std::memcpy(packet.data(), &header, sizeof(header));
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

void use_stream(guest::kernel::Stream& stream, std::uint8_t action, Input& input) {
  std::byte out[100];
  switch (action % 6) {
    case 0:
    case 1:
      (void)stream.write(input.bytes(input.byte()));
      break;
    case 2:
      (void)stream.read(out);
      break;
    case 3:
      stream.finish_sending();
      break;
    case 4:
      stream.close();
      break;
    default:
      stream.reset();
  }
}

struct Machine {
  Link link;
  Buffers buffers;
  guest::drivers::VsockCounters counters;
  User user;
  VsockMux mux{link, buffers, counters, {.window_bytes = 8192, .small_window_bytes = 1024, .turn_bytes = 4096}};

  void step(Input& input) {
    const std::uint8_t action = input.byte();
    if (action < 180) {
      const auto packet = action < 160 ? plausible(input) : input.bytes(input.byte());
      if (mux.can_receive()) mux.receive(packet);
    } else if (action < 220) {
      link.room = input.byte() % 32U;
      mux.service();
    } else if (action < 230) {
      user.behaviour = input.byte();
    } else if (action < 235) {
      buffers.fail = (input.byte() & 1) != 0;
    } else if (action < 238) {
      mux.stop();
      mux.start(3);
    } else if (!user.streams.empty()) {
      use_stream(*user.streams[input.byte() % user.streams.size()], action, input);
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto services = std::make_unique<guest::drivers::StreamServices>();
  const auto machine = std::make_unique<Machine>();
  if (!machine->mux.listen(1, machine->user) || !services->listen(machine->mux)) __builtin_trap();
  machine->mux.start(3);
  Input input{data, size};
  while (input.size != 0) machine->step(input);
  machine->mux.stop();
  machine->mux.service();
  const bool clean =
      machine->user.streams.empty() && machine->counters.connections.value() == 0 && machine->buffers.blocks.empty();
  if (!clean) __builtin_trap();
  return 0;
}
