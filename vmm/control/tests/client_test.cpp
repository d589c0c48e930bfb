#include "vmm/control/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "connected.hpp"
#include "fake_guest.hpp"
#include "vmm/base/unix_socket.hpp"

namespace vmm::control {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::any_token;
using testing::Connected;
using testing::FakeConnection;
using testing::FakeGuest;
using testing::FakeMachine;
using ::testing::HasSubstr;
using testing::in;
using testing::RawFrame;
using testing::TempFolder;
using Kind = ClientError::Kind;

constexpr auto kErrorCommand = static_cast<std::uint8_t>(abi::control::Command::Error);

/// The error of a call that the guest answers with these bytes and then waits for the client to close.
ClientError error_after(const testing::Bytes& answer) {
  Connected connected([&](FakeConnection& connection) {
    connection.read_request();
    connection.send(answer);
    ::shutdown(connection.fd(), SHUT_WR);
  });
  const auto result = connected.client.call("ping", json::object(), in(10s));
  return result ? ClientError{.kind = Kind::BadRequest, .message = "no error: " + result->dump()} : result.error();
}

/// The error of connect() when a machine at a socket runs this script.
ClientError connect_error(std::function<void(FakeConnection&)> script, std::chrono::milliseconds time = 10s) {
  const TempFolder folder;
  const FakeMachine machine(folder.path_of("vsock.sock"), std::move(script));
  const auto client = Client::connect(folder.path_of("vsock.sock"), any_token(), in(time));
  return client ? ClientError{.kind = Kind::BadRequest, .message = "no error"} : client.error();
}

TEST(Connect, machine_that_accepts_gives_a_client_that_can_call) {
  const TempFolder folder;
  const FakeMachine machine(folder.path_of("vsock.sock"), [](FakeConnection& connection) {
    if (connection.read_line() != "CONNECT 5000") return;
    connection.send("OK 1073741824\n");
    connection.accept_hello();
    const auto request = connection.read_request();
    connection.reply(request.id, {{"op", request.body["op"]}, {"args", request.body["args"]}});
  });
  auto client = Client::connect(folder.path_of("vsock.sock"), any_token(), in(10s));
  ASSERT_TRUE(client) << client.error().message;
  EXPECT_EQ(client->hello()["server"], "fake");
  const auto result = client->call("ping", {{"payload", "x"}}, in(10s));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, json({{"op", "ping"}, {"args", {{"payload", "x"}}}}));
}

TEST(Connect, hello_carries_the_token) {
  json hello;
  FakeGuest guest([&](FakeConnection& connection) {
    const auto request = connection.read_request();
    hello = request.body;
    connection.send(RawFrame{.id = request.id, .body = {{"max_payload", 1000}}}.bytes());
  });
  const auto token = any_token();
  ASSERT_TRUE(Client::over(guest.client_end(), token, in(10s)));
  const auto& bytes = hello["token"].get_binary();
  ASSERT_EQ(bytes.size(), sizeof(token));
  EXPECT_EQ(std::memcmp(bytes.data(), &token, sizeof(token)), 0);
}

TEST(Connect, missing_socket_is_no_such_machine) {
  const TempFolder folder;
  const auto client = Client::connect(folder.path_of("vsock.sock"), any_token(), in(1s));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Kind::NoSuchMachine);
  EXPECT_THAT(client.error().message, HasSubstr("no such machine: there is no socket " + folder.path_of("vsock.sock")));
}

TEST(Connect, socket_without_listener_is_refused) {
  const TempFolder folder;
  const std::string path = folder.path_of("vsock.sock");
  listen_unix(path)->reset();  // the file stays
  const auto client = Client::connect(path, any_token(), in(1s));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Kind::ConnectRefused);
}

TEST(Connect, socket_of_somebody_else_is_no_permission) {
  const TempFolder folder;
  const std::string path = folder.path_of("vsock.sock");
  const auto listener = listen_unix(path);
  ::chmod(path.c_str(), 0);
  // Root may connect to every socket, so a child tries it as nobody.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(99);
    const auto client = Client::connect(path, any_token(), in(1s));
    ::_exit(client ? 98 : static_cast<int>(client.error().kind));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Kind::NoPermission));
}

TEST(Connect, listener_that_never_accepts_times_out_even_with_its_backlog_full) {
  const TempFolder folder;
  const std::string path = folder.path_of("vsock.sock");
  const auto listener = listen_unix(path, 0);
  std::vector<UniqueFd> queued;
  for (int i = 0; i < 4; ++i) {
    if (auto fd = connect_unix(path, Blocking::No)) queued.push_back(std::move(*fd));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto client = Client::connect(path, any_token(), start + 100ms);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Kind::Timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST(Connect, err_line_is_no_such_port_with_the_reason) {
  const auto error = connect_error([](FakeConnection& connection) {
    connection.read_line();
    connection.send("ERR nobody \x1b[2J listens\n");
  });
  EXPECT_EQ(error.kind, Kind::NoSuchPort);
  EXPECT_THAT(error.message, HasSubstr("port 5000"));
  EXPECT_THAT(error.message, HasSubstr("'nobody ?[2J listens'")) << "what a terminal would act on is not passed on";
}

TEST(Connect, close_instead_of_an_answer_is_no_such_port) {
  const auto error = connect_error([](FakeConnection& connection) { connection.read_line(); });
  EXPECT_EQ(error.kind, Kind::NoSuchPort);
}

TEST(Connect, other_answers_are_protocol_errors) {
  for (const std::string answer :
       {"HTTP/1.1 400 Bad Request\n", "OK\n", "OK x\n", "OK 12 13\n", "OK 99999999999\n", "OK 5"}) {
    const auto error = connect_error([&](FakeConnection& connection) {
      connection.read_line();
      connection.send(answer);
    });
    EXPECT_EQ(error.kind, Kind::Protocol) << answer << ": " << error.message;
  }
}

TEST(Connect, endless_answer_is_a_protocol_error) {
  const auto error = connect_error([](FakeConnection& connection) {
    connection.read_line();
    connection.send(std::string(100'000, 'O'));
  });
  EXPECT_EQ(error.kind, Kind::Protocol);
  EXPECT_THAT(error.message, HasSubstr("more than 256 bytes"));
}

TEST(Connect, no_answer_times_out) {
  const auto error = connect_error([](FakeConnection& connection) { connection.drain(); }, 100ms);
  EXPECT_EQ(error.kind, Kind::Timeout);
}

TEST(Connect, answer_in_drips_times_out_at_the_deadline) {
  const auto start = std::chrono::steady_clock::now();
  const auto error = connect_error(
      [](FakeConnection& connection) {
        for (int i = 0; i < 40; ++i) {
          connection.send("O");
          std::this_thread::sleep_for(10ms);
        }
      },
      100ms);
  EXPECT_EQ(error.kind, Kind::Timeout);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 100ms);
}

TEST(Connect, token_refused_by_the_guest_is_a_refusal_with_its_code) {
  FakeGuest guest([](FakeConnection& connection) {
    const auto request = connection.read_request();
    connection.send(RawFrame{.command = kErrorCommand,
                             .id = request.id,
                             .body = {{"status", "error"}, {"code", "token-invalid"}, {"message", "wrong MAC"}}}
                        .bytes());
  });
  const auto client = Client::over(guest.client_end(), any_token(), in(10s));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Kind::Refused);
  EXPECT_EQ(client.error().code, "token-invalid");
}

TEST(Connect, hello_reply_without_limit_is_a_protocol_error) {
  FakeGuest guest([](FakeConnection& connection) {
    connection.send(RawFrame{.id = connection.read_request().id, .body = {{"server", "x"}}}.bytes());
  });
  const auto client = Client::over(guest.client_end(), any_token(), in(10s));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Kind::Protocol);
}

TEST(Call, refusal_names_code_message_and_field) {
  const auto error = error_after(RawFrame{
      .command = kErrorCommand,
      .id = 2,
      .body = {{"status", "error"}, {"code", "bad-argument"}, {"message", "code must be 0 to 255"}, {"field", "code"}}}
                                     .bytes());
  EXPECT_EQ(error.kind, Kind::Refused);
  EXPECT_EQ(error.code, "bad-argument");
  EXPECT_EQ(error.message, "code must be 0 to 255");
  EXPECT_EQ(error.field, "code");
}

TEST(Call, refusal_of_the_connection_carries_id_zero) {
  const auto error = error_after(
      RawFrame{.command = kErrorCommand, .id = 0, .body = {{"status", "error"}, {"code", "busy"}, {"message", "full"}}}
          .bytes());
  EXPECT_EQ(error.kind, Kind::Refused);
  EXPECT_EQ(error.code, "busy");
}

TEST(Call, replies_that_are_none_are_protocol_errors) {
  const auto body = [](const json& value) { return error_after(RawFrame{.id = 2, .body = value}.bytes()).kind; };
  EXPECT_EQ(body({{"status", "ok"}}), Kind::Protocol);
  EXPECT_EQ(body({{"status", "ok"}, {"result", 3}}), Kind::Protocol);
  EXPECT_EQ(body({{"status", "error"}, {"result", json::object()}}), Kind::Protocol);
  EXPECT_EQ(body({{"result", json::object()}}), Kind::Protocol);
  const auto error_body = [](const json& value) {
    return error_after(RawFrame{.command = kErrorCommand, .id = 2, .body = value}.bytes()).kind;
  };
  EXPECT_EQ(error_body({{"status", "error"}, {"message", "m"}}), Kind::Protocol);
  EXPECT_EQ(error_body({{"status", "error"}, {"code", 1}, {"message", "m"}}), Kind::Protocol);
  EXPECT_EQ(error_body({{"status", "ok"}, {"code", "c"}, {"message", "m"}}), Kind::Protocol);
  EXPECT_EQ(error_body({{"status", "error"}, {"code", "c"}, {"message", "m"}, {"field", 1}}), Kind::Protocol);
}

TEST(Call, unknown_id_event_and_wrong_magic_are_protocol_errors) {
  const json ok = {{"status", "ok"}, {"result", json::object()}};
  EXPECT_THAT(error_after(RawFrame{.id = 99, .body = ok}.bytes()).message, HasSubstr("request 99, which was not made"));
  EXPECT_EQ(error_after(RawFrame{.command = 0x82, .id = 99, .body = ok}.bytes()).message,
            "the guest sent an event of request 99, which was not made");
  EXPECT_EQ(error_after(RawFrame{.magic = 'X', .id = 2, .body = ok}.bytes()).kind, Kind::Protocol);
}

TEST(Call, close_without_a_reply_is_connection_lost) {
  const auto error = error_after({});
  EXPECT_EQ(error.kind, Kind::ConnectionLost);
  EXPECT_EQ(error.message, "the guest closed the connection");
}

TEST(Call, close_within_a_reply_is_connection_lost_and_says_where) {
  auto bytes = RawFrame{.id = 2}.bytes();
  bytes.pop_back();
  const auto error = error_after(bytes);
  EXPECT_EQ(error.kind, Kind::ConnectionLost);
  EXPECT_THAT(error.message, HasSubstr("after 12 of its bytes"));
}

TEST(Call, reset_is_connection_lost) {
  Connected connected([](FakeConnection& connection) { connection.close(); });  // the request stays unread: a reset
  std::this_thread::sleep_for(20ms);
  const auto first = connected.client.call("ping", json::object(), in(10s));
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().kind, Kind::ConnectionLost);
  const auto second = connected.client.call("ping", json::object(), in(10s));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, Kind::ConnectionLost);
}

TEST(Call, no_reply_times_out_at_the_deadline_and_a_late_one_is_dropped) {
  Connected connected([](FakeConnection& connection) {
    const auto first = connection.read_request();
    const auto second = connection.read_request();
    connection.reply(first.id, {{"n", 1}});
    connection.reply(second.id, {{"n", 2}});
  });
  const auto start = std::chrono::steady_clock::now();
  const auto timed_out = connected.client.call("ping", json::object(), start + 50ms);
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(timed_out);
  EXPECT_EQ(timed_out.error().kind, Kind::Timeout);
  EXPECT_GE(took, 50ms);
  EXPECT_LT(took, 2s);
  const auto answered = connected.client.call("ping", json::object(), in(10s));
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ((*answered)["n"], 2);
}

TEST(Call, guest_that_sends_without_end_does_not_outlast_the_deadline) {
  Connected connected([](FakeConnection& connection) {
    const auto first = connection.read_request();
    // One byte of a frame at a time keeps the socket readable.
    const auto bytes = RawFrame{.id = first.id, .body = {{"x", std::string(60'000, 'a')}}}.bytes();
    for (const auto byte : bytes) connection.send(testing::Bytes{byte});
  });
  const auto start = std::chrono::steady_clock::now();
  const auto result = connected.client.call("ping", json::object(), start + 5ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, Kind::Timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST(Call, request_over_the_limit_of_the_guest_is_not_sent) {
  Connected connected([](FakeConnection& connection) {
    const auto request = connection.read_request();
    connection.reply(request.id, {{"op", request.body["op"]}});
  });
  const auto refused = connected.client.call("ping", {{"payload", std::string(70'000, 'x')}}, in(10s));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::BadRequest);
  const auto next = connected.client.call("info", json::object(), in(10s));
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ((*next)["op"], "info");
}

TEST(Pipeline, replies_in_any_order_reach_their_requests) {
  Connected connected([](FakeConnection& connection) {
    std::vector<std::uint32_t> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(connection.read_request().id);
    for (const int i : {2, 0, 1}) connection.reply(ids[static_cast<std::size_t>(i)], {{"n", i}});
  });
  std::vector<std::uint32_t> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(*connected.client.send("ping", json::object(), in(10s)));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto result = connected.client.receive(ids[i], in(10s));
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ((*result)["n"], i);
  }
}

TEST(Pipeline, reply_given_twice_is_a_protocol_error) {
  Connected connected([](FakeConnection& connection) {
    const auto first = connection.read_request();
    connection.read_request();
    connection.reply(first.id, json::object());
    connection.reply(first.id, json::object());
  });
  const auto first = connected.client.send("ping", json::object(), in(10s));
  const auto second = connected.client.send("ping", json::object(), in(10s));
  EXPECT_FALSE(connected.client.receive(*second, in(10s)));
  const auto result = connected.client.receive(*first, in(10s));
  EXPECT_TRUE(result) << "the first of the two came in order: " << result.error().message;
}

TEST(Pipeline, guest_that_blocks_on_its_replies_is_no_deadlock) {
  // Replies of 60 KiB fill the socket long before 20 requests of 60 KiB are through.
  const std::string large(60'000, 'x');
  Connected connected([&](FakeConnection& connection) {
    for (int i = 0; i < 20; ++i) {
      const auto request = connection.read_request();
      connection.reply(request.id, {{"payload", large}});
    }
  });
  std::vector<std::uint32_t> ids;
  for (int i = 0; i < 20; ++i) {
    const auto id = connected.client.send("ping", {{"payload", large}}, in(10s));
    ASSERT_TRUE(id) << id.error().message;
    ids.push_back(*id);
  }
  for (const auto id : ids) EXPECT_TRUE(connected.client.receive(id, in(10s)));
}

TEST(Pipeline, request_stuck_halfway_ends_the_connection) {
  Connected connected([](FakeConnection&) { std::this_thread::sleep_for(300ms); });
  const std::string large(60'000, 'x');
  ClientResult<std::uint32_t> sent;
  for (int i = 0; i < 100 && sent; ++i) sent = connected.client.send("ping", {{"payload", large}}, in(50ms));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, Kind::Timeout);
  const auto next = connected.client.send("ping", json::object(), in(50ms));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind, Kind::Timeout) << "the error that ended it is told again";
}

TEST(Pipeline, too_many_outstanding_requests_are_refused_here) {
  Connected connected([](FakeConnection& connection) { connection.drain(); });
  for (std::size_t i = 0; i < Client::kMaxOutstanding; ++i) {
    ASSERT_TRUE(connected.client.send("ping", json::object(), in(10s)));
  }
  const auto refused = connected.client.send("ping", json::object(), in(10s));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::BadRequest);
  connected.client =
      *Client::over(FakeGuest([](FakeConnection& c) { c.accept_hello(); }).client_end(), any_token(), in(10s));
}

TEST(Receive, id_that_was_never_sent_is_a_bad_request) {
  Connected connected([](FakeConnection&) {});
  EXPECT_EQ(connected.client.receive(42, in(1s)).error().kind, Kind::BadRequest);
}

}  // namespace
}  // namespace vmm::control
