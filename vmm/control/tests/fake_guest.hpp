// The guest's side of a connection, for tests: reads requests and sends whatever bytes a test wants.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "abi/control.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::control::testing {

using Bytes = std::vector<std::uint8_t>;

/// A frame as bytes, every header field as given.
struct RawFrame {
  std::uint8_t magic = abi::control::kMagic;
  std::uint8_t version = abi::control::kVersion1;
  std::uint8_t command = static_cast<std::uint8_t>(abi::control::Command::Reply);
  std::uint8_t flags = 0;
  std::uint32_t id = 1;
  nlohmann::json body = nlohmann::json::object();

  [[nodiscard]] Bytes bytes() const;
};

/// One connection, seen from the guest.
class FakeConnection {
 public:
  explicit FakeConnection(UniqueFd fd) : fd_(std::move(fd)) {}

  struct Request {
    abi::control::Command command;
    std::uint32_t id;
    nlohmann::json body;
  };
  /// Blocks until a whole request has come; aborts the test program if the client closes first.
  Request read_request();
  /// A line up to its line feed, without it.
  std::string read_line();
  /// Bytes until the client closes.
  std::size_t drain();

  void send(const Bytes& bytes) const;
  void send(std::string_view text) const;
  /// Takes the client's Hello and accepts it.
  void accept_hello();
  void reply(std::uint32_t id, const nlohmann::json& result) const;
  void close() { fd_.reset(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  bool read_exactly(void* to, std::size_t count) const;

  UniqueFd fd_;
};

/// Runs `script` against the far end of a socket pair. client_end() is the near one, non-blocking.
class FakeGuest {
 public:
  explicit FakeGuest(std::function<void(FakeConnection&)> script);
  UniqueFd client_end() { return std::move(client_end_); }

 private:
  UniqueFd client_end_;
  std::jthread thread_;
};

/// A folder that is removed with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] std::string path_of(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A listening socket like a machine's vsock.sock; `script` runs on the first connection that comes.
class FakeMachine {
 public:
  FakeMachine(const std::string& socket_path, std::function<void(FakeConnection&)> script);

 private:
  UniqueFd listener_;
  std::jthread thread_;
};

}  // namespace vmm::control::testing
