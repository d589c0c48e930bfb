#include "vmm/virtio/transport/vhost_user/message.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>

namespace vmm::virtio::vhost_user {
namespace {

#ifdef MSG_CMSG_CLOEXEC
constexpr int kReceiveFlags = MSG_CMSG_CLOEXEC | MSG_DONTWAIT;
#else
constexpr int kReceiveFlags = MSG_DONTWAIT;
#endif
#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
#else
constexpr int kSendFlags = MSG_DONTWAIT;
#endif

struct NamedRequest {
  Request request;
  const char* name;
};
constexpr NamedRequest kNames[] = {
    {Request::GetFeatures, "GET_FEATURES"},
    {Request::SetFeatures, "SET_FEATURES"},
    {Request::SetOwner, "SET_OWNER"},
    {Request::ResetOwner, "RESET_OWNER"},
    {Request::SetMemTable, "SET_MEM_TABLE"},
    {Request::SetVringNum, "SET_VRING_NUM"},
    {Request::SetVringAddr, "SET_VRING_ADDR"},
    {Request::SetVringBase, "SET_VRING_BASE"},
    {Request::GetVringBase, "GET_VRING_BASE"},
    {Request::SetVringKick, "SET_VRING_KICK"},
    {Request::SetVringCall, "SET_VRING_CALL"},
    {Request::SetVringErr, "SET_VRING_ERR"},
    {Request::GetProtocolFeatures, "GET_PROTOCOL_FEATURES"},
    {Request::SetProtocolFeatures, "SET_PROTOCOL_FEATURES"},
    {Request::GetQueueNum, "GET_QUEUE_NUM"},
    {Request::SetVringEnable, "SET_VRING_ENABLE"},
    {Request::GetConfig, "GET_CONFIG"},
    {Request::SetConfig, "SET_CONFIG"},
};

}  // namespace

std::string Message::name() const {
  for (const NamedRequest& entry : kNames) {
    if (entry.request == request()) return entry.name;
  }
  return "message " + std::to_string(header.request);
}

Result<MessageReader::Status> MessageReader::receive(const UniqueFd& socket) {
  if (header_bytes_ < sizeof(Header)) {
    auto status = fill(socket, std::as_writable_bytes(std::span(&message_.header, 1)), header_bytes_);
    if (!status || *status != Status::Complete) return status;
    const Header& header = message_.header;
    if ((header.flags & kVersionMask) != kVersion || (header.flags & kFlagReply) != 0) {
      return fail("vhost-user " + message_.name() + " has flags " + std::to_string(header.flags) +
                  ": not a request of version 1");
    }
    if (header.size > kMaxPayloadBytes) {
      return fail("vhost-user " + message_.name() + " announces " + std::to_string(header.size) +
                  " bytes; the longest message has " + std::to_string(kMaxPayloadBytes));
    }
    message_.payload.resize(header.size);
  }
  return fill(socket, message_.payload, payload_bytes_);
}

Result<MessageReader::Status> MessageReader::fill(const UniqueFd& socket, std::span<std::byte> into,
                                                  std::size_t& have) {
  while (have < into.size()) {
    iovec range{into.data() + have, into.size() - have};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control;
    msghdr message{};
    message.msg_iov = &range;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(socket.get(), &message, kReceiveFlags);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Status::NotYet;
    if (got < 0) return fail_errno("cannot receive from the vhost-user front end");
    if (auto adopted = adopt_fds(&message); !adopted) return std::unexpected(std::move(adopted.error()));
    if (got == 0) {
      if (header_bytes_ == 0) return Status::EndOfStream;
      return fail("the vhost-user front end closed the connection in the middle of a message");
    }
    have += static_cast<std::size_t>(got);
  }
  return Status::Complete;
}

Result<> MessageReader::adopt_fds(const void* message_header) {
  // msghdr is not named in the header file, to keep the socket API out of it.
  auto message = *static_cast<const msghdr*>(message_header);
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      message_.fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || message_.fds.size() > kMaxFds) {
    return fail("a vhost-user message carries more than " + std::to_string(kMaxFds) + " file descriptors");
  }
  return {};
}

Message MessageReader::take() {
  header_bytes_ = 0;
  payload_bytes_ = 0;
  return std::exchange(message_, {});
}

Result<> send_reply(const UniqueFd& socket, Request request, std::span<const std::byte> payload) {
  const Header header{.request = static_cast<std::uint32_t>(request),
                      .flags = kVersion | kFlagReply,
                      .size = static_cast<std::uint32_t>(payload.size())};
  std::vector<std::byte> bytes(sizeof header + payload.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  ssize_t sent;
  do {
    sent = ::send(socket.get(), bytes.data(), bytes.size(), kSendFlags);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno("cannot reply to the vhost-user front end");
  // A front end waits for each reply, so the socket's buffer never fills; one that does not wait is not served.
  if (static_cast<std::size_t>(sent) != bytes.size()) return fail("the vhost-user front end does not take replies");
  return {};
}

}  // namespace vmm::virtio::vhost_user
