#include "tools/web/server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tools/web/address.hpp"

namespace sis_web {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kRequest = "GET /data.json HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server with room for two clients, and an answer that no socket's buffers hold.
class ServerTest : public testing::Test {
 protected:
  static constexpr milliseconds kTime{2000};

  ServerTest() {
    std::string name = (fs::temp_directory_path() / "sis-web-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    // As JSON each of these characters is six.
    std::ofstream(folder_ / "scenario.yaml") << std::string(std::size_t{1} << 20, '\x01');
    view_.emplace("m", folder_.string());
    view_->set_status(nlohmann::json::object());
    auto listener = listen_on(address_);
    if (listener) server_.emplace(std::move(*listener), *view_, folder_ / "console.log", limits());
  }
  ~ServerTest() override { fs::remove_all(folder_); }
  ServerTest(const ServerTest&) = delete;
  ServerTest& operator=(const ServerTest&) = delete;

  static ServerLimits limits() { return {.connections = 2, .time = kTime}; }

  /// Connected, and the request is sent.
  [[nodiscard]] vmm::UniqueFd client(int receive_bytes) const {
    vmm::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address_.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // The family says which kind of address it is (socket(7)).
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    EXPECT_EQ(::send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL), ssize_t{kRequest.size()});
    return fd;
  }

  static std::string read_all(const vmm::UniqueFd& fd) {
    std::string text;
    std::vector<char> piece(std::size_t{1} << 16);
    for (ssize_t got = 1; got > 0;) {
      got = ::recv(fd.get(), piece.data(), piece.size(), 0);
      if (got > 0) text.append(piece.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

  fs::path folder_;
  Address address_{.ip = "127.0.0.1", .port = 0};
  std::optional<MachineView> view_;
  std::optional<Server> server_;
};

TEST_F(ServerTest, clients_that_never_read_hold_the_others_up_for_no_longer_than_a_connection_lasts) {
  ASSERT_TRUE(server_);
  constexpr int kLittle = 4096;
  std::vector<vmm::UniqueFd> silent;
  for (std::size_t i = 0; i < limits().connections; ++i) silent.push_back(client(kLittle));
  const auto before = steady_clock::now();
  const std::string answer = read_all(client(1 << 20));
  const auto took = steady_clock::now() - before;
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer.substr(0, 100);
  EXPECT_GE(took, kTime) << "they did not keep anybody waiting: the answer is too short for this test";
  // Their answers are cut.
  for (const auto& each : silent) EXPECT_LT(read_all(each).size(), answer.size());
}

}  // namespace
}  // namespace sis_web
