#include "fake_guest.hpp"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "vmm/base/unix_socket.hpp"

namespace vmm::control::testing {
namespace {

namespace wire = abi::control;

void must(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

Bytes RawFrame::bytes() const {
  const Bytes cbor = nlohmann::json::to_cbor(body);
  const wire::FrameHeader header{.magic = magic,
                                 .version = version,
                                 .command = command,
                                 .flags = flags,
                                 .length = static_cast<std::uint32_t>(cbor.size() + 4)};
  const abi::Le32 wire_id = id;
  Bytes out(sizeof(header) + sizeof(wire_id));
  std::memcpy(out.data(), &header, sizeof(header));
  std::memcpy(out.data() + sizeof(header), &wire_id, sizeof(wire_id));
  out.insert(out.end(), cbor.begin(), cbor.end());
  return out;
}

bool FakeConnection::read_exactly(void* to, std::size_t count) const {
  auto* bytes = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::read(fd_.get(), bytes, count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

FakeConnection::Request FakeConnection::read_request() {
  wire::FrameHeader header;
  must(read_exactly(&header, sizeof(header)));
  must(header.magic == wire::kMagic && header.version == wire::kVersion1 && header.flags == 0);
  must(header.length > 4 && header.length <= wire::kMaxPayloadBytes);
  Bytes payload(header.length);
  must(read_exactly(payload.data(), payload.size()));
  abi::Le32 id;
  std::memcpy(&id, payload.data(), sizeof(id));
  return {.command = static_cast<wire::Command>(header.command),
          .id = id,
          .body = nlohmann::json::from_cbor(payload.begin() + 4, payload.end())};
}

std::string FakeConnection::read_line() {
  std::string line;
  char c = 0;
  while (read_exactly(&c, 1) && c != '\n') line += c;
  return line;
}

std::size_t FakeConnection::drain() {
  std::size_t total = 0;
  char buffer[65536];
  while (true) {
    const ssize_t got = ::read(fd_.get(), buffer, sizeof(buffer));
    if (got <= 0) return total;
    total += static_cast<std::size_t>(got);
  }
}

void FakeConnection::send(const Bytes& bytes) const {
  send(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));  // bytes are bytes
}

void FakeConnection::send(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // the client gave up, as many tests want it to
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void FakeConnection::accept_hello() {
  const Request hello = read_request();
  must(hello.command == wire::Command::Hello);
  send(RawFrame{.id = hello.id,
                .body = {{"server", "fake"}, {"version", "1"}, {"protocol", 1}, {"rights", 7}, {"max_payload", 65536}}}
           .bytes());
}

void FakeConnection::reply(std::uint32_t id, const nlohmann::json& result) const {
  send(RawFrame{.id = id, .body = {{"status", "ok"}, {"result", result}}}.bytes());
}

FakeGuest::FakeGuest(std::function<void(FakeConnection&)> script) {
  auto pair = make_socket_pair();
  must(pair.has_value() && set_nonblocking(pair->first).has_value());
  client_end_ = std::move(pair->first);
  thread_ = std::jthread([script = std::move(script), fd = pair->second.release()] {
    FakeConnection connection{UniqueFd(fd)};
    script(connection);
  });
}

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "sis-control-XXXXXX").string();
  must(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

FakeMachine::FakeMachine(const std::string& socket_path, std::function<void(FakeConnection&)> script) {
  auto listener = listen_unix(socket_path);
  must(listener.has_value());
  listener_ = std::move(*listener);
  thread_ = std::jthread([script = std::move(script), fd = listener_.get()] {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    must(::poll(&entry, 1, 10'000) == 1);
    FakeConnection connection{UniqueFd(::accept(fd, nullptr, nullptr))};
    script(connection);
  });
}

}  // namespace vmm::control::testing
