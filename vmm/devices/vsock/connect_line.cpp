#include "vmm/devices/vsock/connect_line.hpp"

namespace vmm::vsock {
namespace {

constexpr std::string_view kCommand = "CONNECT ";
constexpr std::uint64_t kLargestPort = 0xFFFF'FFFE;

}  // namespace

std::size_t ConnectLine::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && status_ == Status::Incomplete) take(bytes[used++]);
  return used;
}

void ConnectLine::take(char byte) {
  const std::size_t position = taken_++;
  if (position < kCommand.size()) {
    if (byte != kCommand[position]) status_ = Status::NotConnect;
    return;
  }
  if (byte == '\n') {
    status_ = has_digits_ ? Status::Complete : Status::BadPort;
    return;
  }
  if (byte < '0' || byte > '9') {
    status_ = Status::BadPort;
    return;
  }
  has_digits_ = true;
  port_ = port_ * 10 + static_cast<std::uint64_t>(byte - '0');
  if (port_ > kLargestPort) {
    status_ = Status::PortTooBig;
  } else if (taken_ == kMaxConnectLineBytes) {
    status_ = Status::TooLong;
  }
}

std::string_view ConnectLine::problem() const {
  switch (status_) {
    case Status::Incomplete:
    case Status::Complete:
      return "";
    case Status::NotConnect:
      return "expected a line \"CONNECT <port>\"";
    case Status::BadPort:
      return "the port after CONNECT must be decimal digits and end the line";
    case Status::PortTooBig:
      return "the port after CONNECT must be at most 4294967294";
    case Status::TooLong:
      return "the CONNECT line is longer than 32 bytes";
  }
  return "";
}

}  // namespace vmm::vsock
