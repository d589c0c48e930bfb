// A client for tests of the server, built on another CBOR library.
#pragma once

#include <gtest/gtest.h>
#include <sodium/crypto_auth_hmacsha256.h>

#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "abi/control.hpp"
#include "guest/control/server.hpp"
#include "guest/control/testing/fake_machine.hpp"
#include "guest/control/testing/fake_stream.hpp"

namespace guest::control::testing {

using nlohmann::json;
using Wire = abi::control::Command;
using abi::control::Rights;

inline security::Key test_key() { return FakeMachine::key(); }

inline abi::control::Token make_token(Rights rights, std::uint64_t expires_unix_ns = 0,
                                      const security::Key& key = test_key()) {
  abi::control::Token token{.version = abi::control::kTokenVersion,
                            .rights = static_cast<std::uint8_t>(rights),
                            .reserved = 0,
                            .id = 7,
                            .expires_unix_ns = expires_unix_ns,
                            .mac = {}};
  crypto_auth_hmacsha256(token.mac, reinterpret_cast<const unsigned char*>(&token), abi::control::kTokenSignedBytes,
                         key.data());
  return token;
}

template <typename T>
json binary(const T& value) {
  std::vector<std::uint8_t> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return json::binary(std::move(bytes));
}

/// A frame whose header fields may be wrong.
struct RawFrame {
  std::uint8_t magic = abi::control::kMagic;
  std::uint8_t version = abi::control::kVersion1;
  std::uint8_t command = static_cast<std::uint8_t>(Wire::Call);
  std::uint8_t flags = 0;
  std::vector<std::uint8_t> payload = {};
  std::optional<std::uint32_t> length = {};  ///< default: that of the payload

  [[nodiscard]] Bytes bytes() const {
    const abi::control::FrameHeader header{.magic = magic,
                                           .version = version,
                                           .command = command,
                                           .flags = flags,
                                           .length = length.value_or(static_cast<std::uint32_t>(payload.size()))};
    Bytes out(sizeof(header) + payload.size());
    std::memcpy(out.data(), &header, sizeof(header));
    if (!payload.empty()) {
      std::memcpy(out.data() + sizeof(header), payload.data(), payload.size());
    }
    return out;
  }
};

inline std::vector<std::uint8_t> payload_of(std::uint32_t id, const json& body) {
  std::vector<std::uint8_t> payload(4);
  const abi::Le32 wire_id = id;
  std::memcpy(payload.data(), &wire_id, 4);
  json::to_cbor(body, payload);
  return payload;
}

inline Bytes request(Wire command, std::uint32_t id, const json& body) {
  return RawFrame{.command = static_cast<std::uint8_t>(command), .payload = payload_of(id, body)}.bytes();
}

inline Bytes call(std::uint32_t id, const std::string& op, const json& args = nullptr) {
  json body = {{"op", op}};
  if (!args.is_null()) {
    body["args"] = args;
  }
  return request(Wire::Call, id, body);
}

struct Answer {
  Wire command;
  std::uint32_t id;
  json body;
  [[nodiscard]] std::string code() const { return body.value("code", ""); }
  [[nodiscard]] std::string field() const { return body.value("field", ""); }
  [[nodiscard]] std::string message() const { return body.value("message", ""); }
};

class TestClient {
 public:
  bool connect(kernel::StreamListener& server) { return stream.connect(server); }
  void send(const Bytes& bytes) { stream.deliver(bytes); }

  /// Every frame that the server has sent; checks the header of each, and that together they are not longer than
  /// `max_bytes`.
  std::vector<Answer> answers(std::size_t max_bytes = ~std::size_t{0}) {
    const Bytes sent = stream.take_sent();
    EXPECT_LE(sent.size(), max_bytes);
    pending_.insert(pending_.end(), sent.begin(), sent.end());
    std::vector<Answer> result;
    while (pending_.size() >= 12) {
      abi::control::FrameHeader header;
      std::memcpy(&header, pending_.data(), sizeof(header));
      EXPECT_EQ(header.magic, 'C');
      EXPECT_EQ(header.version, 1);
      EXPECT_EQ(header.flags, 0);
      EXPECT_GE(header.length, 5U);
      EXPECT_LE(header.length, abi::control::kMaxPayloadBytes);
      if (pending_.size() < 8 + header.length) {
        break;
      }
      abi::Le32 id;
      std::memcpy(&id, pending_.data() + 8, 4);
      const auto* body = reinterpret_cast<const std::uint8_t*>(pending_.data()) + 12;
      result.push_back({static_cast<Wire>(header.command), id, json::from_cbor(body, body + header.length - 4)});
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(8 + header.length));
    }
    return result;
  }
  /// The one frame that has come.
  Answer answer() {
    const auto all = answers();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Answer{Wire::Event, 0, json::object()} : all.front();
  }
  Answer ask(const Bytes& bytes) {
    send(bytes);
    return answer();
  }
  void hello(Rights rights = Rights::All) {
    const Answer reply = ask(request(Wire::Hello, 1, {{"token", binary(make_token(rights))}}));
    ASSERT_EQ(reply.command, Wire::Reply) << reply.body;
  }
  /// The transport carries out what the server asked for.
  void settle() { stream.settle(); }

  FakeStream stream;

 private:
  Bytes pending_;
};

/// A server with a key, and a client that has connected.
class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(client.connect(server)); }
  void TearDown() override {
    client.stream.disconnect();
    for (const auto& other : crowd_) {
      other->stream.disconnect();
    }
    machine.advance_ns(kHelloTimeoutNs + kCloseTimeoutNs);  // cancelled operations free themselves
    EXPECT_EQ(machine.counter("control_connections_open"), 0U);
    EXPECT_EQ(machine.counter("control_requests"), machine.counter("control_replies_ok") +
                                                       machine.counter("control_replies_error") +
                                                       machine.counter("control_unanswered"));
  }
  /// So many connections, all of which have said Hello, that time limits hold.
  void crowd() {
    while (machine.counter("control_connections_open") <= kScarceConnections) {
      crowd_.push_back(std::make_unique<TestClient>());
      ASSERT_TRUE(crowd_.back()->connect(server));
      crowd_.back()->hello();
    }
  }
  /// The answer to one call must be an Error: its code and field.
  std::pair<std::string, std::string> refusal(const Bytes& bytes) {
    const Answer reply = client.ask(bytes);
    EXPECT_EQ(reply.command, Wire::Error) << reply.body;
    EXPECT_EQ(reply.body.value("status", ""), "error");
    EXPECT_FALSE(reply.message().empty());
    return {reply.code(), reply.field()};
  }

  FakeMachine machine;
  Server server{machine.services, machine.work};
  TestClient client;

 private:
  std::vector<std::unique_ptr<TestClient>> crowd_;
};

}  // namespace guest::control::testing
