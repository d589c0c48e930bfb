// Models that come over a connection: what is taken, what is refused, and that nothing stays of what does not end well.
#include <gmock/gmock.h>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/llm/catalog/testing/packages.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/kernels/kernels.hpp"
#include "test_client.hpp"

namespace guest::control::testing {
namespace {

using ::testing::ElementsAre;

class NoAudit final : public llm::Audit {
 public:
  void record(const llm::AuditEntry& /*entry*/) override {}
};

json bytes_json(std::string_view text) { return json::binary({text.begin(), text.end()}); }

class UploadTest : public ServerTest {
 protected:
  UploadTest() {
    threads::start_cpus();
    machine.trust.policy.key = llm::package::testing::kOurs.key;
    machine.services.llm = &desk_;
  }
  void SetUp() override {
    ServerTest::SetUp();
    client.hello();
    seen_ = machine.audit.count();
  }
  void TearDown() override {
    ServerTest::TearDown();
    run_all();
    if (models() == std::vector<std::string>{"tiny loaded"}) {
      EXPECT_TRUE(catalog_.unload({}, "tiny")) << "a model is in use";
    }
    EXPECT_EQ(npu_.read_counters()->regions, 0U);
  }

  void run_all() {
    threads::run_until_idle();
    while (kernel::work_queue().run_one()) {
    }
    machine.run();
  }
  Bytes begin(std::uint32_t id, json args = json::object()) {
    args.emplace("size", model_.size());
    args.emplace("manifest", bytes_json(manifest_));
    return call(id, "llm upload", args);
  }
  [[nodiscard]] Bytes data(std::uint32_t id, std::size_t offset, std::string_view bytes) const {
    return call(id, "llm upload-data", {{"offset", offset}, {"bytes", bytes_json(bytes)}});
  }
  /// All of the model, in pieces, as a client does that waits for nothing.
  void send_model(TestClient& by) {
    constexpr std::size_t kPiece = 10'000;
    for (std::size_t at = 0; at < model_.size(); at += kPiece) {
      by.send(data(100, at, std::string_view(model_).substr(at, kPiece)));
      const Answer answer = by.answer();
      EXPECT_EQ(answer.body,
                (json{{"status", "ok"}, {"result", {{"received", std::min(at + kPiece, model_.size())}}}}));
    }
  }
  /// "code: message" of an Error, or the result.
  static std::string told(const Answer& answer) {
    return answer.command == Wire::Error ? answer.code() + ": " + answer.message() : answer.body["result"].dump();
  }
  /// "id state" of what the catalog knows.
  std::vector<std::string> models() {
    std::vector<std::string> all;
    for (std::size_t i = 0; const auto entry = catalog_.at(i); ++i) {
      all.push_back(std::string(entry->id.view()) + " " + std::string(llm::to_string(entry->state)));
    }
    return all;
  }
  /// Of the audit log, since the client has said Hello: "event op code".
  std::vector<std::string> records() {
    std::vector<std::string> all;
    for (; seen_ < machine.audit.count(); ++seen_) {
      const auto& record = machine.audit.at(seen_ + 1).record;
      all.push_back(std::string(abi::audit::to_string(static_cast<security::Event>(record.event))) + " " +
                    record.operation + " " + record.code);
    }
    return all;
  }

  const std::string model_ = llm::testing::runnable_model();
  std::string manifest_ = llm::testing::manifest_for("tiny", model_);

 private:
  npu::CpuAccelerator npu_{::npu::scalar_kernels()};
  NoAudit audit_;
  llm::Clients clients_;
  LlmWaiters waiters_;
  std::unique_ptr<llm::Service> service_ = std::move(*llm::Service::make(npu_, {.models = 2}, audit_));
  llm::Catalog catalog_{*service_, machine.trust, machine.files};
  Llm desk_{*service_, catalog_, clients_, waiters_};
  std::uint64_t seen_ = 0;
};

TEST_F(UploadTest, model_that_comes_in_pieces_is_loaded_and_leaves_two_records) {
  client.send(begin(2));
  EXPECT_TRUE(client.answers().empty());
  send_model(client);
  EXPECT_EQ(told(client.ask(call(3, "llm upload-end"))), "{\"received\":" + std::to_string(model_.size()) + "}");
  run_all();
  const Answer loaded = client.answer();
  EXPECT_EQ(loaded.id, 2U);
  EXPECT_EQ(told(loaded), "{\"model\":\"tiny\",\"size\":" + std::to_string(model_.size()) + ",\"state\":\"loaded\"}");
  EXPECT_THAT(models(), ElementsAre("tiny loaded"));
  EXPECT_THAT(records(), ElementsAre("call-done llm upload-end ", "call-done llm upload "));
  EXPECT_EQ(told(client.ask(begin(4))), "llm-model-exists: the model 'tiny' is loaded");
}

TEST_F(UploadTest, who_is_not_trusted_is_refused_before_a_byte_is_taken) {
  EXPECT_EQ(told(client.ask(call(2, "llm upload", {{"size", 5}, {"id", "tiny"}}))),
            "package-unsigned: 'tiny' has no signature, and the scenario does not allow that");
  EXPECT_EQ(told(client.ask(begin(2, {{"id", "other"}}))),
            "package-wrong-id: the manifest is that of 'tiny', expected 'other'");
  EXPECT_EQ(client.ask(begin(2, {{"size", 7}})).code(), "package-wrong-size");
  EXPECT_EQ(client.ask(begin(2, {{"size", 0}})).code(), "bad-argument");
  EXPECT_EQ(client.ask(begin(2, {{"manifest", std::string(1025, 'x')}})).code(), "bad-argument");
  manifest_.replace(manifest_.find("revision: 1"), 11, "revision: 2");
  EXPECT_EQ(client.ask(begin(2)).code(), "package-wrong-signature");
  EXPECT_EQ(told(client.ask(data(3, 0, "x"))), "not-found: this connection has no upload; 'llm upload' begins one");
  EXPECT_EQ(client.ask(call(3, "llm upload-end")).code(), "not-found");
  EXPECT_EQ(records().front(), "call-refused llm upload package-unsigned");
  EXPECT_EQ(machine.counter("control_error_package"), 4U);
}

TEST_F(UploadTest, size_that_does_not_fit_the_memory_is_refused) {
  machine.trust.policy.allow_unsigned = true;
  machine.trust.policy.key.reset();
  EXPECT_EQ(told(client.ask(call(2, "llm upload", {{"size", 8 << 20}, {"id", "x"}}))).substr(0, 75),
            "package-no-memory: the model file is to have 8388608 bytes, there is room f");
  EXPECT_EQ(client.ask(call(2, "llm upload", {{"size", (64 << 20) + 1}, {"id", "x"}})).code(), "package-too-large");
}

TEST_F(UploadTest, pieces_that_do_not_fit_are_refused_and_change_nothing) {
  client.send(begin(2));
  EXPECT_EQ(told(client.ask(data(3, 1, "x"))),
            "package-wrong-offset: the next byte of the model file is that at 0, given is one at 1");
  send_model(client);
  EXPECT_EQ(client.ask(data(3, model_.size(), "x")).code(), "package-wrong-size");
  EXPECT_EQ(client.ask(data(3, 0, "")).code(), "bad-argument");
  EXPECT_EQ(told(client.ask(begin(4))), "busy: this connection has an upload, which has not ended");
  client.ask(call(5, "llm upload-end"));
  EXPECT_EQ(told(client.ask(data(3, 0, "x"))), "busy: the upload of this connection is whole and is being loaded");
  EXPECT_EQ(client.ask(call(5, "llm upload-end")).code(), "busy");
  run_all();
  EXPECT_EQ(client.answer().command, Wire::Reply);
}

TEST_F(UploadTest, model_that_is_not_whole_or_another_one_is_refused_with_the_reason) {
  client.send(begin(2));
  client.ask(data(3, 0, "GGUF"));
  EXPECT_EQ(
      told(client.ask(call(4, "llm upload-end"))),
      "package-model-truncated: the model file has " + std::to_string(model_.size()) + " bytes, 4 of them have come");
  for (std::size_t at = 4; at < model_.size(); at += 50'000) {
    client.ask(data(3, at, std::string(std::min<std::size_t>(50'000, model_.size() - at), 'x')));
  }
  EXPECT_EQ(client.ask(call(4, "llm upload-end")).command, Wire::Reply);
  run_all();
  const Answer refused = client.answer();
  EXPECT_EQ(refused.id, 2U);
  EXPECT_EQ(refused.code(), "package-wrong-hash");
  EXPECT_THAT(models(), ElementsAre("tiny refused"));
  EXPECT_THAT(records(), ElementsAre("call-refused llm upload-end package-model-truncated", "call-done llm upload-end ",
                                     "call-refused llm upload package-wrong-hash"));
  EXPECT_EQ(client.ask(data(3, 4, "x")).code(), "not-found");
  // It can be sent once more.
  client.send(begin(6));
  send_model(client);
  client.ask(call(7, "llm upload-end"));
  run_all();
  EXPECT_EQ(client.answer().command, Wire::Reply);
}

TEST_F(UploadTest, an_upload_ends_with_its_call_its_token_and_its_connection) {
  client.send(begin(2));
  client.send(request(Wire::Cancel, 3, {{"id", 2}}));
  EXPECT_EQ(client.answers().size(), 2U);
  EXPECT_EQ(client.ask(data(4, 0, "x")).code(), "not-found");
  // Of the places there are four.
  std::vector<std::unique_ptr<TestClient>> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(std::make_unique<TestClient>());
    ASSERT_TRUE(others.back()->connect(server));
    others.back()->hello();
    others.back()->send(begin(2));
    EXPECT_TRUE(others.back()->answers().empty());
  }
  EXPECT_EQ(told(client.ask(begin(2))), "busy: 4 uploads are under way, which are as many as there may be");
  others.front()->stream.disconnect();
  client.send(begin(2));
  EXPECT_TRUE(client.answers().empty());
  ASSERT_TRUE(machine.authority.rotate(test_key(), 0));
  machine.run();
  EXPECT_EQ(client.answer().code(), "cancelled");
  for (const auto& other : others) {
    other->stream.disconnect();
  }
}

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST_F(UploadTest, one_of_which_nothing_comes_ends_with_a_record_and_gives_its_memory_back) {
  client.send(begin(2));
  machine.advance_ns(29 * kSecond);
  client.ask(data(3, 0, "GGUF"));
  machine.advance_ns(29 * kSecond);
  EXPECT_EQ(client.ask(data(3, 0, "GGUF")).code(), "package-wrong-offset");  // what is not taken is nothing
  machine.advance_ns(kSecond);
  const Answer ended = client.answer();
  EXPECT_EQ(ended.id, 2U);
  EXPECT_EQ(told(ended),
            "package-idle: nothing has come for 30 s, and 4 of " + std::to_string(model_.size()) + " bytes before");
  EXPECT_EQ(client.ask(data(3, 4, "x")).code(), "not-found");
  EXPECT_THAT(records(), ElementsAre("call-refused llm upload-data package-wrong-offset",
                                     "call-refused llm upload package-idle", "call-refused llm upload-data not-found"));
  // The place is free: another one can begin, and lasts as long.
  client.send(begin(2));
  machine.advance_ns(29 * kSecond);
  EXPECT_TRUE(client.answers().empty());
  client.send(request(Wire::Cancel, 3, {{"id", 2}}));
  EXPECT_EQ(client.answers().size(), 2U);
  machine.advance_ns(60 * kSecond);
  EXPECT_TRUE(client.answers().empty());
}

TEST_F(UploadTest, one_that_is_being_loaded_has_all_the_time_that_it_takes) {
  client.send(begin(2));
  send_model(client);
  client.ask(call(3, "llm upload-end"));
  machine.advance_ns(60 * kSecond);
  run_all();
  EXPECT_EQ(client.answer().command, Wire::Reply);
  EXPECT_THAT(models(), ElementsAre("tiny loaded"));
}

TEST_F(UploadTest, one_that_is_loaded_when_nobody_waits_any_more_is_loaded) {
  client.send(begin(2));
  send_model(client);
  client.ask(call(3, "llm upload-end"));
  client.stream.disconnect();
  run_all();
  EXPECT_THAT(models(), ElementsAre("tiny loaded"));
}

TEST_F(UploadTest, other_rights_are_not_enough) {
  client.send(begin(2));
  client.hello(Rights::Submit);  // other rights from here on; the call that waits has those that it had
  EXPECT_EQ(client.ask(data(3, 0, "x")).code(), "forbidden");
  EXPECT_EQ(client.ask(begin(4)).code(), "forbidden");
}

/// Of a call that nobody sent.
class LooseCaller final : public Caller {
 public:
  void complete(std::span<const std::byte> /*result*/) override { answer = "done"; }
  void fail(const Refusal& refusal) override { answer = refusal.code; }
  void defer(Operation& with) override { operation = &with; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte> /*event*/) override { return false; }
  Operation* operation = nullptr;
  std::string answer;
};

TEST_F(UploadTest, without_memory_it_says_so_and_nothing_stays) {
  LooseCaller caller;
  /// What the command says, or "later".
  const auto run = [&](const char* name, const json& args) -> std::string {
    const std::vector<std::uint8_t> encoded = json::to_cbor(args);
    const CborValue map = *parse_cbor(std::as_bytes(std::span(encoded)));
    const Command& command = *find_command(std::string_view(name));
    std::array<std::byte, 256> memory;
    CborWriter writer(memory);
    ResultMap result(writer);
    machine.services.caller = {.rights = Rights::All, .connection = 99};
    const auto handled =
        command.handler(machine.services, *Arguments::parse_map(command.arguments, map), caller, result);
    return !handled ? std::string(handled.error().message.view()) : *handled == Handled::Later ? "later" : "now";
  };
  const auto all = [](const auto& attempt) {
    std::vector<std::string> said;
    kernel::fail_each_allocation([&] { said.push_back(attempt()); }, [] {});
    return said;
  };
  const json args = {{"size", model_.size()}, {"manifest", bytes_json(manifest_)}};
  EXPECT_THAT(all([&] { return run("llm upload", args); }),
              ElementsAre(::testing::StartsWith("no "), "no memory for another upload", "later"));
  for (std::size_t at = 0; at < model_.size(); at += 50'000) {
    EXPECT_EQ(run("llm upload-data", {{"offset", at}, {"bytes", bytes_json(model_.substr(at, 50'000))}}), "now");
  }
  std::string end;
  for (std::size_t at = 0; end != "now"; ++at) {
    const kernel::FailingMemory failing(at);  // of the thread, too, once there is one
    end = run("llm upload-end", json::object());
    EXPECT_THAT(end, ::testing::AnyOf("no memory or no thread for 'llmload'", "now"));
  }
  run_all();
  EXPECT_EQ(caller.answer, "gguf-no-memory");
}

TEST_F(UploadTest, machine_without_a_service_has_no_uploads) {
  machine.services.llm = nullptr;
  EXPECT_EQ(client.ask(begin(2)).code(), "unavailable");
  EXPECT_EQ(client.ask(data(3, 0, "x")).code(), "not-found");
}

}  // namespace
}  // namespace guest::control::testing
