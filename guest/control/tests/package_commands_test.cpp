// llmhash and llmverify, over a boot archive in memory.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <optional>

#include "command_fixture.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/kernel/work.hpp"
#include "guest/llm/package/testing/package.hpp"

namespace guest::control::testing {
namespace {

namespace package = llm::package;
using package::testing::bytes_of;
using package::testing::kOthers;
using package::testing::kOurs;

/// A cpio archive in the "newc" format of these files.
std::string archive_of(const std::map<std::string, std::string>& files) {
  std::string bytes;
  const auto pad = [&bytes] { bytes.resize((bytes.size() + 3) / 4 * 4); };
  const auto add = [&](const std::string& name, const std::string& data, unsigned mode) {
    char header[111];
    std::snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0U, mode, 0U,
                  0U, 1U, 0U, static_cast<unsigned>(data.size()), 0U, 0U, 0U, 0U,
                  static_cast<unsigned>(name.size() + 1), 0U);
    bytes += header + name + '\0';
    pad();
    bytes += data;
    pad();
  };
  for (const auto& [name, data] : files) {
    add(name, data, 0100644);
  }
  add("TRAILER!!!", "", 0);
  return bytes;
}

class LateCaller final : public Caller {
 public:
  void complete(std::span<const std::byte> result) override { answer = json::from_cbor(result); }
  void fail(const Refusal& refusal) override { answer = {{"code", refusal.code}, {"message", refusal.message.view()}}; }
  void defer(Operation& deferred) override { operation = &deferred; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte>) override { return false; }

  Operation* operation = nullptr;
  std::optional<json> answer;
};

class PackageCommandsTest : public CommandTest {
 protected:
  PackageCommandsTest() {
    threads::start_cpus();
    machine.trust.policy.key = kOurs.key;
    files_["models/tiny.gguf"] = model_;
    files_["models/tiny.sig"] = package::testing::signed_text(package::testing::manifest_of(model_));
    files_["scenario.dtb"] = "secret";
  }

  void open() {
    archive_ = archive_of(files_);
    const auto opened = machine.files.open(bytes_of(archive_));
    ASSERT_TRUE(opened) << opened.error().detail.view();
  }
  /// What the command answers, now or when its thread has ended.
  json ask(std::string_view command, std::string_view argument) {
    open();
    LateCaller caller;
    const json now = run_for(caller, command, {argument});
    if (!now.is_null()) {
      return now;
    }
    run_all();
    return caller.answer.value_or("no answer");
  }
  std::string refusal(std::string_view argument) { return told(ask("llmverify", argument)); }
  static void run_all() {
    threads::run_until_idle();
    while (kernel::work_queue().run_one()) {
    }
  }

  std::string model_ = package::testing::model_builder().bytes();
  std::map<std::string, std::string> files_;
  std::string archive_;
};

TEST_F(PackageCommandsTest, hash_is_that_of_the_file) {
  files_["files/abc"] = "abc";
  const json answer = ask("llmhash", "files/abc");
  EXPECT_EQ(answer["file"], "files/abc");
  EXPECT_EQ(answer["size"], 3);
  EXPECT_EQ(answer["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  files_["files/a"] = std::string(1'000'000, 'a');  // several pieces
  EXPECT_EQ(ask("llmhash", "files/a")["sha256"], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(told(ask("llmhash", "none\n")), "not-found: there is no 'none\\n' in the boot archive");
  EXPECT_EQ(told(ask("llmhash", "scenario.dtb")),
            "bad-argument: 'scenario.dtb' holds the machine's secrets: nothing is said of it");
}

TEST_F(PackageCommandsTest, verified_package_is_shown_with_what_was_checked) {
  const json answer = ask("llmverify", "tiny");
  EXPECT_EQ(answer["id"], "tiny");
  EXPECT_EQ(answer["revision"], 3);
  EXPECT_EQ(answer["wcet_cycles"], 1'200'000);
  EXPECT_EQ(answer["quantisation"], "Q8_0");
  EXPECT_EQ(answer["size"], model_.size());
  EXPECT_EQ(answer["checks"], (json{{"manifest", "ok"},
                                    {"id", "ok"},
                                    {"key", "the scenario's"},
                                    {"signature", "ok"},
                                    {"revision", "ok"},
                                    {"size", "ok"},
                                    {"sha256", "ok"},
                                    {"model", "ok"}}));
}

TEST_F(PackageCommandsTest, older_revision_is_refused) {
  ASSERT_TRUE(machine.trust.revisions.accept("tiny", 4));
  EXPECT_EQ(refusal("tiny"), "package-replayed: 'tiny' is of revision 3, expected 4 or later");
}

TEST_F(PackageCommandsTest, refusals_have_the_packages_codes) {
  EXPECT_EQ(refusal("other"), "not-found: there is no 'models/other.gguf' in the boot archive");
  machine.trust.policy.key = kOthers.key;
  EXPECT_EQ(refusal("tiny").substr(0, 18), "package-wrong-key:");
  machine.trust.policy.key = kOurs.key;
  files_["models/tiny.gguf"].back() ^= 1;
  EXPECT_EQ(refusal("tiny").substr(0, 19), "package-wrong-hash:");
  files_["models/tiny.gguf"] += "x";
  EXPECT_EQ(refusal("tiny").substr(0, 19), "package-wrong-size:");
  files_.erase("models/tiny.sig");
  EXPECT_EQ(refusal("tiny"), "package-unsigned: 'tiny' has no signature, and the scenario does not allow that");
  machine.trust.policy.allow_unsigned = true;
  files_["models/tiny.gguf"] = "GGUF";
  EXPECT_EQ(refusal("tiny"), "gguf-truncated: a version at byte 4 needs 4 bytes, 0 of 4 are left");
}

TEST_F(PackageCommandsTest, unsigned_model_that_is_allowed_says_so) {
  files_.erase("models/tiny.sig");
  machine.trust.policy = {.key = std::nullopt, .allow_unsigned = true};
  const json answer = ask("llmverify", "tiny");
  EXPECT_FALSE(answer.contains("revision"));
  EXPECT_EQ(answer["vocabulary"], 5);
  EXPECT_EQ(answer["checks"], (json{{"signature", "none, which the scenario allows"}, {"model", "ok"}}));
  files_["models/tiny.sig"] = package::testing::signed_text(package::testing::manifest_of(model_));
  EXPECT_EQ(ask("llmverify", "tiny")["checks"]["key"], "any, which the scenario allows");
}

TEST_F(PackageCommandsTest, one_runs_at_a_time_and_one_that_is_cancelled_makes_room) {
  open();
  LateCaller first;
  ASSERT_TRUE(run_for(first, "llmhash", {"models/tiny.gguf"}).is_null());
  EXPECT_EQ(told(run("llmverify", {"tiny"})), "busy: another 'llmhash' or 'llmverify' runs already");
  EXPECT_EQ(told(run("llmhash", {"models/tiny.gguf"})), "busy: another 'llmhash' or 'llmverify' runs already");
  ASSERT_NE(first.operation, nullptr);
  first.operation->cancel();
  run_all();
  EXPECT_FALSE(first.answer);
  EXPECT_EQ(ask("llmverify", "tiny")["id"], "tiny");
  LateCaller second;
  ASSERT_TRUE(run_for(second, "llmverify", {"tiny"}).is_null());
  second.operation->cancel();
  run_all();
  EXPECT_FALSE(second.answer);
}

}  // namespace
}  // namespace guest::control::testing
