#include "vmm/machine/kvm_protocol/message.hpp"

#include <algorithm>

namespace vmm::kvm_protocol {
namespace {

using abi::ExitCode;

constexpr std::size_t kHeaderBytes = 2;
constexpr std::size_t kMaxText = kMaxPacketBytes - kHeaderBytes;
constexpr std::string_view kCut = "...";

bool is_exit_code(unsigned code) {
  return code <= static_cast<unsigned>(ExitCode::Internal) || code == static_cast<unsigned>(ExitCode::Interrupted);
}

std::string printable(std::string_view text) {
  std::string clean(text);
  std::ranges::replace_if(clean, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return clean;
}

}  // namespace

std::string encode(Order order) { return std::string(1, static_cast<char>(order)); }

std::string encode(const Message& message) {
  const ExitCode code = message.how ? ExitCode::Passed : message.how.error().exit_code;
  std::string packet{static_cast<char>(message.news), static_cast<char>(code)};
  const std::string& text = message.how ? message.text : message.how.error().message;
  if (text.size() <= kMaxText) return packet + text;
  return (packet + text.substr(0, kMaxText - kCut.size())).append(kCut);
}

std::optional<Order> decode_order(std::string_view packet) {
  if (packet.size() != 1) return std::nullopt;
  const auto order = static_cast<Order>(packet[0]);
  if (order != Order::Stop && order != Order::Snapshot) return std::nullopt;
  return order;
}

std::optional<Message> decode_news(std::string_view packet) {
  if (packet.size() < kHeaderBytes || packet.size() > kMaxPacketBytes) return std::nullopt;
  const auto news = static_cast<unsigned char>(packet[0]);
  const auto code = static_cast<unsigned char>(packet[1]);
  if (news < static_cast<unsigned>(News::GuestReset) || news > static_cast<unsigned>(News::Ended)) return std::nullopt;
  if (!is_exit_code(code)) return std::nullopt;
  Message message{.news = static_cast<News>(news), .how = {}, .text = printable(packet.substr(kHeaderBytes))};
  if (code == 0) return message;
  // Only what has an outcome can fail.
  if (message.news != News::SnapshotDone && message.news != News::Ended) return std::nullopt;
  message.how = fail(std::exchange(message.text, {}), static_cast<ExitCode>(code));
  return message;
}

}  // namespace vmm::kvm_protocol
