#include "guest/drivers/stream_services.hpp"

#include <cstring>

namespace guest::drivers {

namespace {

constexpr unsigned kFirstPrintable = 32;
constexpr unsigned kPrintable = 95;
constexpr std::size_t kLineCharacters = 72;

void discard_all(kernel::Stream& stream) {
  for (auto bytes = stream.peek(); !bytes.empty(); bytes = stream.peek()) {
    stream.consume(bytes.size());
  }
}

}  // namespace

// ---- Echo

kernel::StreamHandler* EchoService::on_connect(kernel::Stream&, std::uint32_t) { return this; }

void EchoService::on_readable(kernel::Stream& stream) {
  for (auto bytes = stream.peek(); !bytes.empty(); bytes = stream.peek()) {
    const std::size_t sent = stream.write(bytes);
    if (sent == 0) {
      break;  // on_writable() goes on
    }
    stream.consume(sent);
  }
  if (stream.receive_ended() || stream.send_ended()) {
    stream.close();
  }
}

void EchoService::on_writable(kernel::Stream& stream) { on_readable(stream); }

void EchoService::on_closed(kernel::Stream&) {}

// ---- Discard

kernel::StreamHandler* DiscardService::on_connect(kernel::Stream&, std::uint32_t) { return this; }

void DiscardService::on_readable(kernel::Stream& stream) {
  discard_all(stream);
  if (stream.receive_ended()) {
    stream.close();
  }
}

void DiscardService::on_writable(kernel::Stream&) {}

void DiscardService::on_closed(kernel::Stream&) {}

// ---- Character generator

char CharacterGeneratorService::byte_at(std::uint64_t position) {
  const std::uint64_t line = position / kLineBytes;
  const std::uint64_t column = position % kLineBytes;
  if (column == kLineCharacters) {
    return '\r';
  }
  if (column > kLineCharacters) {
    return '\n';
  }
  return static_cast<char>(kFirstPrintable + (line + column) % kPrintable);
}

void CharacterGeneratorService::make_pattern() {
  for (std::size_t i = 0; i < kPeriodBytes; ++i) {
    pattern_[i] = static_cast<std::byte>(byte_at(i));
  }
  for (std::size_t at = kPeriodBytes; at < pattern_.size(); at += kPeriodBytes) {
    std::memcpy(&pattern_[at], pattern_.data(), kPeriodBytes);
  }
  made_ = true;
}

kernel::StreamHandler* CharacterGeneratorService::on_connect(kernel::Stream& stream, std::uint32_t) {
  if (!made_) {
    make_pattern();  // not at boot, where instructions are counted
  }
  for (Session& session : sessions_) {
    if (!session.in_use) {
      session.service = this;
      session.in_use = true;
      session.position = 0;
      generate(session, stream);
      return &session;
    }
  }
  return nullptr;
}

void CharacterGeneratorService::generate(Session& session, kernel::Stream& stream) const {
  // Ends because a turn of a stream is bounded: write() comes back short, and on_writable() goes on.
  while (!stream.send_ended()) {
    const std::span<const std::byte> next = std::span(pattern_).subspan(session.position);
    const std::size_t sent = stream.write(next);
    session.position = (session.position + sent) % pattern_.size();
    if (sent != next.size()) {
      break;
    }
  }
  if (stream.send_ended()) {
    stream.close();
  }
}

void CharacterGeneratorService::Session::on_readable(kernel::Stream& stream) { discard_all(stream); }

void CharacterGeneratorService::Session::on_writable(kernel::Stream& stream) { service->generate(*this, stream); }

void CharacterGeneratorService::Session::on_closed(kernel::Stream&) { in_use = false; }

bool StreamServices::listen(kernel::StreamTransport& transport) {
  return transport.listen(EchoService::kPort, echo) && transport.listen(DiscardService::kPort, discard) &&
         transport.listen(CharacterGeneratorService::kPort, character_generator);
}

}  // namespace guest::drivers
