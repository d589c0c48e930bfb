#include "tools/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sisctl {
namespace {

using ::testing::HasSubstr;
using vmm::control::ClientError;
using ErrorKind = ClientError::Kind;
using namespace std::chrono_literals;

Failure failure(ErrorKind kind) {
  return failure_of({.kind = kind, .message = "why", .code = "bad-argument", .field = "code"},
                    {.name = "demo", .socket_path = "", .key_path = "", .monitor_path = ""}, 3s);
}

TEST(FailureOf, each_kind_has_its_exit_code) {
  EXPECT_EQ(failure(ErrorKind::Refused).exit_code, ExitCode::Refused);
  EXPECT_EQ(failure(ErrorKind::BadRequest).exit_code, ExitCode::Usage);
  EXPECT_EQ(failure(ErrorKind::NoSuchMachine).exit_code, ExitCode::CannotConnect);
  EXPECT_EQ(failure(ErrorKind::ConnectRefused).exit_code, ExitCode::CannotConnect);
  EXPECT_EQ(failure(ErrorKind::NoSuchPort).exit_code, ExitCode::CannotConnect);
  EXPECT_EQ(failure(ErrorKind::NoPermission).exit_code, ExitCode::CannotConnect);
  EXPECT_EQ(failure(ErrorKind::Timeout).exit_code, ExitCode::NoReply);
  EXPECT_EQ(failure(ErrorKind::ConnectionLost).exit_code, ExitCode::NoReply);
  EXPECT_EQ(failure(ErrorKind::Protocol).exit_code, ExitCode::Protocol);
}

TEST(FailureOf, messages_say_what_happened) {
  EXPECT_EQ(failure(ErrorKind::Refused).message, "the guest refused: why [bad-argument, argument 'code']");
  EXPECT_THAT(failure(ErrorKind::Timeout).message, HasSubstr("no reply from 'demo' within 3.000 s"));
  EXPECT_THAT(failure(ErrorKind::ConnectionLost).message, HasSubstr("no reply from 'demo': why"));
  EXPECT_THAT(failure(ErrorKind::Protocol).message, HasSubstr("protocol error: why"));
}

TEST(FindTarget, key_is_beside_the_socket_unless_given) {
  Options options;
  options.socket_path = "run/vsock.sock";
  EXPECT_EQ(find_target(options)->key_path, "run/control.key");
  options.socket_path = "vsock.sock";
  EXPECT_EQ(find_target(options)->key_path, "control.key");
  options.key_path = "elsewhere";
  EXPECT_EQ(find_target(options)->key_path, "elsewhere");
}

TEST(FindTarget, name_that_cannot_be_one_is_a_usage_error) {
  Options options;
  options.machine = "../x";
  EXPECT_EQ(find_target(options).error().exit_code, ExitCode::Usage);
}

}  // namespace
}  // namespace sisctl
