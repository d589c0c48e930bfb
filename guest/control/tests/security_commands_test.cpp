// Commands of tokens and keys, as the console has them.
#include <gmock/gmock.h>

#include <cstring>

#include "command_fixture.hpp"

namespace guest::control::testing {
namespace {

using abi::control::Rights;
using ::testing::HasSubstr;

class SecurityCommandTest : public CommandTest {
 protected:
  SecurityCommandTest() { machine.services.caller.rights = Rights::All; }
  std::string code(std::string_view name, const std::vector<std::string_view>& words) {
    return run(name, words).value("code", "");
  }
  std::string message(std::string_view name, const std::vector<std::string_view>& words) {
    return run(name, words).value("message", "");
  }
  /// What the newest record of the audit log says.
  std::string newest() {
    const auto& record = machine.audit.at(machine.audit.count()).record;
    return std::string(abi::audit::to_string(static_cast<security::Event>(record.event))) + " " + record.operation +
           " " + std::to_string(record.subject);
  }
};

TEST_F(SecurityCommandTest, token_new_answers_the_token_once) {
  const json made = run("token new", {"observe,submit", "--ttl_s", "60", "--name", "ci"});
  EXPECT_EQ(made["id"], security::kFirstOwnId);
  EXPECT_EQ(made["rights"], "observe,submit");
  EXPECT_EQ(made["expires_unix_ns"], FakeMachine::kUnixTimeAtBoot + 61'000'000'000);
  EXPECT_EQ(made["token"].get<std::string>().size(), 96U);
  EXPECT_EQ(made["token"].get<std::string>().substr(0, 16), "0103000001000080");
  EXPECT_EQ(newest(), "token-made token new 2147483649");
  const json list = run("token list");
  EXPECT_EQ(list["tokens"], (json{{{"id", security::kFirstOwnId},
                                   {"rights", "observe,submit"},
                                   {"expires_unix_ns", FakeMachine::kUnixTimeAtBoot + 61'000'000'000},
                                   {"made_here", true},
                                   {"revoked", false},
                                   {"uses", 0},
                                   {"name", "ci"}}}));
  EXPECT_EQ(list["room_for"], 128);
}

TEST_F(SecurityCommandTest, ctlhex_needs_a_server) {
  EXPECT_EQ(told(run("ctlhex", {"43"})), "busy: the control server has not started");
}

TEST_F(SecurityCommandTest, token_new_says_what_is_wrong) {
  EXPECT_EQ(message("token new", {"observe,root"}),
            "rights: found 'root', allowed: observe, submit, admin, with commas between");
  EXPECT_EQ(code("token new", {"observe,"}), "bad-argument");
  EXPECT_EQ(code("token new", {","}), "bad-argument");
  machine.services.caller = {.rights = Rights::Submit, .token = 5, .expires_unix_ns = 1, .connection = 1};
  EXPECT_EQ(code("token new", {"admin"}), "forbidden");
  EXPECT_EQ(field, "rights");
  EXPECT_EQ(code("token new", {"submit", "1"}), "forbidden");
  EXPECT_EQ(field, "ttl_s");
  machine.services.unix_time_at_boot_ns = 0;
  EXPECT_EQ(code("token new", {"submit", "1"}), "failed");
}

TEST_F(SecurityCommandTest, full_table_says_to_rotate) {
  for (std::size_t i = 0; i < security::kMaxTokens; ++i) {
    run("token new", {"submit"});
  }
  EXPECT_EQ(code("token new", {"submit"}), "busy");
  EXPECT_THAT(message("ctlembed", {"submit"}), HasSubstr("ctlkey rotate"));
  EXPECT_EQ(code("token revoke", {"1"}), "busy");
  EXPECT_FALSE(run("token list")["tokens"][127].is_null());
  run("ctlkey", {"rotate"});
  EXPECT_EQ(run("token list")["tokens"], json::array());
}

TEST_F(SecurityCommandTest, token_revoke_says_what_it_took) {
  run("token new", {"submit"});
  machine.services.caller = {
      .rights = Rights::All, .token = security::kFirstOwnId, .expires_unix_ns = 0, .connection = 1};
  run("token new", {"submit"});
  EXPECT_EQ(run("token list")["tokens"][1]["made_with"], security::kFirstOwnId);
  EXPECT_EQ(run("token revoke", {"2147483649"}),
            (json{{"id", security::kFirstOwnId}, {"known", true}, {"revoked", 2}}));
  EXPECT_EQ(newest(), "token-revoked token revoke 2147483649");
  EXPECT_EQ(run("token list")["tokens"][1]["revoked"], true);
  EXPECT_EQ(run("token revoke", {"9"}), (json{{"id", 9}, {"known", false}, {"revoked", 1}}));
}

TEST_F(SecurityCommandTest, ctlkey_shows_a_fingerprint_and_never_the_key) {
  const json shown = run("ctlkey");
  EXPECT_EQ(shown["set"], true);
  EXPECT_EQ(shown["fingerprint"], "6ee5ef1939ecb9c7");  // SHA-256 of "sis-fingerprint" 00 01 ... 1f, from Python
  EXPECT_EQ(shown.size(), 2U);
  const json rotated = run("ctlkey", {"rotate"});
  EXPECT_EQ(rotated["key"].get<std::string>().size(), 64U);
  EXPECT_NE(rotated["fingerprint"], shown["fingerprint"]);
  EXPECT_EQ(run("ctlkey")["fingerprint"], rotated["fingerprint"]);
  EXPECT_EQ(newest(), "key-rotated ctlkey 0");
}

TEST_F(SecurityCommandTest, ctlkey_takes_a_given_key) {
  const std::string key = "000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f";  // that it has
  const json shown = run("ctlkey");
  EXPECT_EQ(run("ctlkey", {"rotate", key})["fingerprint"], shown["fingerprint"]);
  EXPECT_EQ(told(run("ctlkey", {"rotate", std::string(63, '0') + "g"})),
            "bad-argument: key: found something else, allowed: 64 hexadecimal digits");
  EXPECT_EQ(code("ctlkey", {"rotate", key.substr(2)}), "bad-argument");
  EXPECT_EQ(told(run("ctlkey", {"--key", key})), "missing-argument: a key is set by 'ctlkey rotate KEY'");
  EXPECT_EQ(field, "action");
}

TEST_F(SecurityCommandTest, tokens_of_version_0_are_set_rotated_and_taken_away) {
  EXPECT_EQ(run("ctladmin"), (json{{"set", false}}));
  const json set = run("ctladmin", {"0x1234"});
  EXPECT_EQ(set["set"], true);
  EXPECT_FALSE(set.contains("token"));
  EXPECT_EQ(newest(), "legacy-token-set ctladmin 0");
  EXPECT_TRUE(machine.authority.accept_legacy(0x1234, false));
  const json rotated = run("ctlsubmit", {"rotate"});
  const std::uint64_t token = std::stoull(rotated["token"].get<std::string>(), nullptr, 16);
  EXPECT_EQ(machine.authority.accept_legacy(token, false)->rights, Rights::Observe | Rights::Submit);
  EXPECT_EQ(run("ctlsubmit"), (json{{"set", true}, {"fingerprint", rotated["fingerprint"]}}));
  EXPECT_EQ(run("ctladmin", {"off"}), (json{{"set", false}}));
  EXPECT_EQ(newest(), "legacy-token-removed ctladmin 0");
  EXPECT_FALSE(machine.authority.accept_legacy(0x1234, false));
}

TEST_F(SecurityCommandTest, tokens_of_version_0_that_are_no_secret_are_refused) {
  run("ctladmin", {"1234"});
  for (const std::string_view wrong : {"on", "0x", "12345678901234567", "0", "5353 5F", "53535F4354524C21"}) {
    EXPECT_EQ(code("ctladmin", {wrong}), "bad-argument") << wrong;
    EXPECT_EQ(field, "token");
  }
  EXPECT_EQ(told(run("ctladmin", {"on"})),
            "bad-argument: token: found something else, allowed: rotate, off, 1 to 16 hexadecimal digits");
  EXPECT_EQ(code("ctlsubmit", {"1234"}), "bad-argument");
  EXPECT_TRUE(machine.authority.accept_legacy(0x1234, false));
  EXPECT_EQ(message("ctladmin", {"nearly1234"}).find("nearly"), std::string::npos);
}

TEST_F(SecurityCommandTest, ctlembed_makes_a_token_of_one_right) {
  EXPECT_EQ(run("ctlembed", {"submit"})["rights"], "submit");
  EXPECT_EQ(run("ctlembed", {"admin"})["rights"], "admin");
  EXPECT_EQ(code("ctlembed", {"all"}), "bad-argument");
  EXPECT_EQ(run("token list")["tokens"][0]["name"], "ctlembed");
}

TEST_F(SecurityCommandTest, audit_shows_pieces_of_a_chain) {
  run("ctlkey", {"rotate"});
  run("token new", {"submit"});
  run("token revoke", {"9"});
  const json all = run("audit");
  ASSERT_EQ(all["records"].size(), 3U);
  EXPECT_EQ(all["before"], std::string(64, '0'));
  EXPECT_EQ(all["records"][0]["event"], "key-rotated");
  EXPECT_EQ(all["records"][2]["subject"], 9);
  EXPECT_THAT(
      text,
      HasSubstr("     3     1.000000 token-revoked console subject=9 op='token revoke' status=1 rights=7 bytes=0\n"));
  EXPECT_THAT(text, HasSubstr("0 more kept, 0 overwritten\n"));
  const json piece = run("audit", {"1", "1"});
  ASSERT_EQ(piece["records"].size(), 1U);
  EXPECT_EQ(piece["records"][0], all["records"][1]);
  EXPECT_EQ(piece["before"], all["records"][0]["hash"]);
  EXPECT_EQ(piece["left_off"], 2);
  EXPECT_EQ(run("audit", {"5", "3"})["records"], json::array());
}

/// Every number and text as long as it can be.
abi::audit::Record largest_record() {
  abi::audit::Record record;
  std::memset(&record, 0xff, sizeof(record));
  record.event = static_cast<std::uint8_t>(security::Event::Llm);
  record.caller = static_cast<std::uint8_t>(abi::audit::CallerKind::Connection);
  record.time_ns = 1'000'000'000'000'000'000;
  std::memset(record.operation, 'o', sizeof(record.operation));
  std::memset(record.code, 'c', sizeof(record.code));
  std::memset(record.model, 'm', sizeof(record.model));
  return record;
}

TEST_F(SecurityCommandTest, audit_shows_what_the_llm_service_told) {
  abi::audit::Record record = largest_record();
  record.fits_at_ns = 0;
  machine.audit.append(record);
  const json shown = run("audit")["records"][0];
  EXPECT_EQ(shown["event"], "llm");
  EXPECT_EQ(shown["tokens"], 0xffff'ffffU);
  EXPECT_EQ(shown["model"], std::string(32, 'm'));
  EXPECT_EQ(shown["prompt_sha256"], std::string(64, 'f'));
  EXPECT_THAT(text, HasSubstr("ended_ns=18446744073709551615 prompt_sha256=ffffffffffffffff..\n"));
  EXPECT_EQ(shown["fits_at_ns"], 0);
  EXPECT_FALSE(text.contains("fits_at_ns"));
}

TEST_F(SecurityCommandTest, llmctl_audit_shows_the_records_of_the_service_alone) {
  abi::audit::Record record = {};
  record.event = static_cast<std::uint8_t>(security::Event::Llm);
  for (std::uint64_t request = 1; request <= 3; ++request) {
    record.request = request;
    machine.audit.append(record);
    run("ctlkey", {"rotate"});
  }
  const json newest = run("llmctl audit", {"2"});
  ASSERT_EQ(newest["records"].size(), 2U);
  EXPECT_EQ(newest["records"][0]["request"], 2);
  EXPECT_EQ(newest["records"][1]["request"], 3);
  EXPECT_EQ(newest["left_off"], 1);
  EXPECT_EQ(run("llmctl audit")["records"].size(), 3U);
}

TEST_F(SecurityCommandTest, largest_audit_answer_fits_a_frame_and_a_shell) {
  for (std::size_t i = 0; i < security::AuditLog::kCapacity + 5; ++i) {
    machine.audit.append(largest_record());
  }
  const json full = run("audit", {"96"});
  EXPECT_EQ(full["records"].size(), 96U);
  EXPECT_EQ(full["overwritten"], 5);
  EXPECT_LT(json::to_cbor(full).size(), 60'000U);
  EXPECT_LT(text.size(), 48U * 1024);
  EXPECT_EQ(run("audit", {"1", "1023"})["records"][0]["sequence"], 6);
}

}  // namespace
}  // namespace guest::control::testing
