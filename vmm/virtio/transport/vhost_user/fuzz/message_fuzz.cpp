// A hostile front end: the input is a list of messages, with descriptors where it says so.
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

#include "vmm/base/unix_socket.hpp"
#include "vmm/virtio/transport/vhost_user/backend.hpp"

using namespace vmm;
using namespace vmm::virtio;
using namespace vmm::virtio::vhost_user;

namespace {

class Device final : public VirtioDevice {
 public:
  [[nodiscard]] abi::virtio::DeviceId id() const override { return abi::virtio::DeviceId::Vsock; }
  [[nodiscard]] std::uint64_t features() const override {
    return std::uint64_t{3} << abi::virtio::feature::kRingIndirectDesc;
  }
  [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override { return kSizes; }
  [[nodiscard]] std::uint16_t required_queues() const override { return 2; }
  [[nodiscard]] std::vector<std::byte> config() const override { return std::vector<std::byte>(8); }
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override {
    if (offset + bytes.size() > 8) __builtin_trap();
  }
  Result<> activate(Activation activation) override {
    if (active_ || activation.queues.size() != 2) __builtin_trap();
    active_ = std::move(activation);
    return {};
  }
  std::vector<Virtqueue> deactivate() override {
    if (!active_) __builtin_trap();
    auto queues = std::move(active_->queues);
    active_.reset();
    return queues;
  }
  void reset() override {
    if (active_) __builtin_trap();
  }
  void queue_kicked(std::uint16_t index) override {
    if (!active_) return;
    const auto popped = active_->queues[index].pop(chain_);
    if (!popped || !*popped) return;
    active_->queues[index].push(chain_.head(), 0);
    if (active_->queues[index].publish()) active_->interrupt->signal_queue(index);
  }
  Result<> memory_changed(const std::shared_ptr<const GuestMemory>& memory) override {
    for (Virtqueue& queue : active_->queues) {
      if (auto moved = queue.move_to(memory); !moved) return moved;
    }
    return {};
  }

 private:
  static constexpr std::uint16_t kSizes[3] = {8, 8, 8};
  std::optional<Activation> active_;
  DescriptorChain chain_;
};

void send(int fd, std::span<const std::uint8_t> bytes, std::span<const int> fds) {
  iovec range{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &range;
  message.msg_iovlen = 1;
  char control[CMSG_SPACE(3 * sizeof(int))] = {};
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::copy_n(reinterpret_cast<const char*>(fds.data()), fds.size_bytes(), CMSG_DATA(part));  // bytes of integers
  }
  (void)::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const UniqueFd memory = [] {
    UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
    if (::ftruncate(fd.get(), 65536) != 0) __builtin_trap();
    return fd;
  }();
  auto loop = std::move(*EventLoop::create());
  auto ends = std::move(*make_socket_pair());
  Device device;
  auto backend = Backend::start(*loop, std::move(ends.second), device,
                                {.queues = 2, .disconnected = {}, .warning = [](const std::string&) {}});
  if (!backend) __builtin_trap();
  std::span<const std::uint8_t> input(data, size);
  // Each piece: one byte of how many descriptors and rounds, one of how long, then bytes of the stream.
  while (input.size() > 2) {
    const std::size_t fds = input[0] % 4;
    const bool run = (input[0] & 0x10) == 0;
    const std::size_t length = std::min<std::size_t>(input[1], input.size() - 2);
    if (length == 0) break;
    const int numbers[3] = {memory.get(), memory.get(), memory.get()};
    send(ends.first.get(), input.subspan(2, length), std::span(numbers).first(fds));
    input = input.subspan(2 + length);
    if (run) (void)loop->run_once(std::chrono::milliseconds(0));
  }
  for (int i = 0; i < 3; ++i) (void)loop->run_once(std::chrono::milliseconds(0));
  return 0;
}
