#include "vmm/machine/kvm_protocol/channel.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "vmm/machine/kvm_protocol/message.hpp"

namespace vmm::kvm_protocol {
namespace {

/// Room for the descriptors of one packet.
union Control {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(int) * kSnapshotDescriptors)> bytes;
};

/// Takes over what came with a packet.
std::vector<UniqueFd> descriptors_of(msghdr& header) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_channel_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno("cannot make a socket pair");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Channel::Channel(EventLoop& loop, UniqueFd socket, Callbacks callbacks)
    : loop_(loop), socket_(std::move(socket)), callbacks_(std::move(callbacks)) {
  loop_.add(socket_.get(), Interest::Read, [this](Events) { read_once(); });
}

Channel::~Channel() {
  *alive_ = false;
  if (socket_.valid()) loop_.remove(socket_.get());
}

Result<> Channel::send(std::string_view packet, WhenFull when_full, std::span<const int> descriptors) {
  if (!socket_.valid()) return fail("the channel is closed");
  iovec part{.iov_base = const_cast<char*>(packet.data()), .iov_len = packet.size()};  // is only read
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(first), descriptors.data(), descriptors.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (when_full == WhenFull::Fail ? MSG_DONTWAIT : 0);
  while (::sendmsg(socket_.get(), &header, flags) < 0) {
    if (errno != EINTR) return fail_errno("cannot send to the other process");
  }
  return {};
}

bool Channel::read_once() {
  std::array<char, kMaxPacketBytes> bytes;
  iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  const ssize_t got = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  auto descriptors = got < 0 ? std::vector<UniqueFd>() : descriptors_of(header);
  // An empty packet cannot be told from the end; nobody sends one.
  if (got <= 0 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    close();
    return false;
  }
  const auto alive = alive_;
  callbacks_.on_packet(std::string_view(bytes.data(), static_cast<std::size_t>(got)), std::move(descriptors));
  return *alive && socket_.valid();
}

void Channel::read_rest() {
  while (socket_.valid() && read_once()) {
  }
}

void Channel::close() {
  loop_.remove(socket_.get());
  socket_.reset();
  if (callbacks_.on_closed) callbacks_.on_closed();
}

}  // namespace vmm::kvm_protocol
