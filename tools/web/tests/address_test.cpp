#include "tools/web/address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sis_web {
namespace {

using testing::HasSubstr;

TEST(Address, both_families_are_read_and_shown) {
  EXPECT_EQ(parse_address("127.0.0.1:8080")->url(), "http://127.0.0.1:8080/");
  EXPECT_EQ(parse_address("[::1]:0")->url(), "http://[::1]:0/");
  EXPECT_TRUE(parse_address("127.9.9.9:1")->is_loopback());
  EXPECT_TRUE(parse_address("[::1]:1")->is_loopback());
  EXPECT_FALSE(parse_address("0.0.0.0:1")->is_loopback());
  EXPECT_FALSE(parse_address("[::]:1")->is_loopback());
}

TEST(Address, what_is_no_address_is_said) {
  for (const char* text : {"", "8080", "localhost:80", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:8x", "::1:80",
                           "[127.0.0.1]:80", "[::1]", "[::1"}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_THAT(address.error().message,
                HasSubstr("found '" + std::string(text) + "', expected the address of this host"));
    EXPECT_EQ(address.error().exit_code, abi::ExitCode::Usage);
  }
}

TEST(Address, a_free_port_is_told_and_one_in_use_is_an_error) {
  Address address{.ip = "127.0.0.1"};
  const auto first = listen_on(address);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_NE(address.port, 0);
  const auto second = listen_on(address);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("cannot listen on " + address.url()));
}

TEST(Address, hosts_of_requests_are_numbers_or_localhost) {
  for (const char* ours : {"localhost", "localhost:80", "127.0.0.1:8080", "10.1.2.3", "[::1]:80", "[fe80::1]"}) {
    EXPECT_TRUE(is_our_host(ours)) << ours;
  }
  for (const char* foreign : {"", "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", "[::1",
                              "[x]:80", "127.0.0.1:x", "localhost:80:80"}) {
    EXPECT_FALSE(is_our_host(foreign)) << foreign;
  }
}

}  // namespace
}  // namespace sis_web
