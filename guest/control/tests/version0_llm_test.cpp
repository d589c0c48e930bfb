// Models and requests to them, as clients of version 0 have them.
#include "guest/llm/catalog/testing/packages.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/kernels/kernels.hpp"
#include "version0_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::MatchesRegex;
using ::testing::StartsWith;

class NoAudit final : public llm::Audit {
 public:
  void record(const llm::AuditEntry& /*entry*/) override {}
};

class Version0LlmTest : public Version0Test {
 protected:
  Version0LlmTest() {
    machine.trust.policy.key = llm::package::testing::kOurs.key;
    files_.put_model("tiny", model_, llm::testing::manifest_for("tiny", model_));  // 1000 cycles a token
    files_.open(machine.files);
    machine.services.llm = &desk_;
    EXPECT_EQ(service_->start({.name = "llm"}), kernel::Status::Ok);
  }
  ~Version0LlmTest() override {
    client.stream.disconnect();
    pump();
    threads::start("test", [&] {
      static_cast<void>(catalog_.unload({}, "tiny"));
      service_->stop();
    });
    pump();
  }

  void pump() {
    for (bool ran = true; ran;) {
      threads::run_until_idle();
      ran = kernel::work_queue().run_one();
      ran = machine.work.run_one() || ran;
    }
  }
  template <typename... Fields>
  std::string say(Legacy command, Fields... fields) {
    std::string said = ask(command, fields...);
    pump();
    return said + text_of(client.stream.take_sent());
  }
  std::string infer(std::uint16_t max_tokens, std::string_view prompt) {
    std::vector<std::uint8_t> payload = packed(kDevelopment, max_tokens);
    payload.insert(payload.end(), prompt.begin(), prompt.end());
    const std::string said =
        ask(RawFrame{.version = 0, .command = static_cast<std::uint8_t>(Legacy::LlmInferStart), .payload = payload}
                .bytes());
    pump();
    return said;
  }
  std::string poll(std::uint32_t id = 0) { return say(Legacy::LlmInferPoll, id); }

  npu::CpuAccelerator npu_{::npu::scalar_kernels()};
  NoAudit audit_;
  llm::testing::TestArchive files_;
  const std::string model_ = llm::testing::runnable_model();
  llm::Clients clients_;
  LlmWaiters waiters_;
  std::unique_ptr<llm::Service> service_ =
      std::move(*llm::Service::make(npu_, {.models = 2}, audit_, &waiters_.changed()));
  llm::Catalog catalog_{*service_, machine.trust, machine.files};
  Llm desk_{*service_, catalog_, clients_, waiters_};
};

TEST_F(Version0LlmTest, the_first_model_is_loaded_once) {
  EXPECT_EQ(infer(4, "why"), "ERR llm-no-model no model is loaded; LlmLoad loads one\n");
  EXPECT_EQ(say(Legacy::LlmLoad, std::uint64_t{999}),
            "ERR bad-argument wcet_cycles: found 999, allowed: 1000 or more, which a token of 'tiny' may take\n");
  EXPECT_EQ(say(Legacy::LlmLoad, std::uint64_t{1000}), "OK MODEL id=tiny\n");
  EXPECT_EQ(say(Legacy::LlmLoad), "OK MODEL id=tiny\n");
  EXPECT_THAT(say(Legacy::LlmLoad, std::uint64_t{999}), StartsWith("ERR bad-argument wcet_cycles"));
}

TEST_F(Version0LlmTest, model_that_is_not_what_was_signed_is_refused) {
  files_.put_model("tiny", model_, llm::testing::manifest_for("tiny", model_ + "x"));
  files_.open(machine.files);
  EXPECT_THAT(say(Legacy::LlmLoad), StartsWith("ERR package-model-truncated "));
  EXPECT_EQ(say(Legacy::LlmLoad),
            "ERR llm-no-model no model is loaded, and the boot archive has none that was not refused\n");
}

TEST_F(Version0LlmTest, unsigned_model_has_no_cycles_to_reckon_with) {
  llm::testing::TestArchive files;
  files.put_model("bare", model_);
  files.open(machine.files);
  EXPECT_EQ(say(Legacy::LlmLoad, std::uint64_t{7}),
            "ERR bad-argument wcet_cycles: nobody says what a token of 'bare' takes\n");
}

TEST_F(Version0LlmTest, pieces_are_given_once_and_done_says_that_no_more_come) {
  ASSERT_EQ(say(Legacy::LlmLoad), "OK MODEL id=tiny\n");
  EXPECT_EQ(infer(5, "why | so"), "OK INFER id=1 model=tiny\n");
  // Two now: there are more, though the request has ended.
  EXPECT_THAT(say(Legacy::LlmInferPoll, std::uint32_t{1}, std::uint16_t{2}),
              MatchesRegex("OK TOK id=1 n=2 done=0 plen=8 model=tiny items=[!-{}~]*\\|[!-{}~]*\n"));
  const std::string rest = poll();
  EXPECT_THAT(rest, StartsWith("OK TOK id=1 n=3 done=1 plen=8 model=tiny items="));
  EXPECT_EQ(std::ranges::count(rest, '|'), 2);
  EXPECT_EQ(std::ranges::count(rest, ' '), 7);  // none in an item
  EXPECT_EQ(poll(1), "OK TOK id=1 n=0 done=1 plen=8 model=tiny items=\n");
}

TEST_F(Version0LlmTest, no_line_is_longer_than_it_may_be_and_nothing_is_lost) {
  ASSERT_EQ(say(Legacy::LlmLoad), "OK MODEL id=tiny\n");
  ASSERT_EQ(infer(100, "a"), "OK INFER id=1 model=tiny\n");
  std::size_t items = 0;
  for (std::string line; !line.contains(" done=1 ");) {
    line = poll(1);
    ASSERT_THAT(line, StartsWith("OK TOK id=1 n="));
    EXPECT_LE(line.size(), 1025U);
    const std::size_t n = std::stoul(line.substr(14));
    EXPECT_LE(n, 32U);
    items += n;
  }
  EXPECT_GE(items, 1U);
  EXPECT_EQ(items, service_->statistics().stream_chunks);
}

TEST_F(Version0LlmTest, requests_belong_to_their_connection) {
  ASSERT_EQ(say(Legacy::LlmLoad), "OK MODEL id=tiny\n");
  EXPECT_THAT(poll(), StartsWith("ERR llm-no-request "));
  ASSERT_EQ(infer(4, "a"), "OK INFER id=1 model=tiny\n");
  ASSERT_EQ(infer(4, "b"), "OK INFER id=2 model=tiny\n");
  EXPECT_EQ(say(Legacy::LlmCancel, std::uint32_t{0}), "OK CANCEL id=2\n");
  EXPECT_THAT(poll(0), StartsWith("OK TOK id=2 "));
  EXPECT_THAT(poll(1), StartsWith("OK TOK id=1 "));
  TestClient other;
  ASSERT_TRUE(other.connect(server.legacy_listener()));
  send(other, legacy(Legacy::LlmInferPoll, std::uint32_t{1}));
  EXPECT_THAT(text_of(other.stream.take_sent()), StartsWith("ERR llm-no-request "));
  other.stream.disconnect();
}

TEST_F(Version0LlmTest, lengths_and_prompts_that_do_not_fit_are_refused) {
  EXPECT_EQ(say(Legacy::LlmLoad, std::uint32_t{1}),
            "ERR bad-argument LlmLoad: found 4 bytes behind the token, allowed: 0 or 8\n");
  EXPECT_EQ(say(Legacy::LlmInferPoll, std::uint16_t{1}),
            "ERR bad-argument LlmInferPoll: found 2 bytes behind the token, allowed: 4 or 6\n");
  EXPECT_EQ(say(Legacy::LlmInferStart, std::uint8_t{1}),
            "ERR bad-argument LlmInferStart: found 1 bytes behind the token, allowed: 2 to 65536\n");
  ASSERT_EQ(say(Legacy::LlmLoad), "OK MODEL id=tiny\n");
  EXPECT_EQ(infer(0, "a"), "ERR bad-argument max_tokens: found 0, allowed: an integer from 1 to 1000000\n");
  EXPECT_THAT(infer(4, std::string(500, 'a')), StartsWith("ERR llm-prompt-too-long "));
  EXPECT_EQ(infer(4, std::string(50'000, 'a')), "ERR bad-argument prompt: found 50000 bytes, allowed: 0 to 49152\n");
  EXPECT_EQ(infer(4, "--\xff\n\\"), "OK INFER id=1 model=tiny\n");  // any bytes
}

TEST_F(Version0LlmTest, connection_that_ends_takes_its_requests_along) {
  ASSERT_EQ(say(Legacy::LlmLoad), "OK MODEL id=tiny\n");
  ASSERT_EQ(infer(4, "a"), "OK INFER id=1 model=tiny\n");
  client.stream.disconnect();
  pump();
  EXPECT_EQ(service_->list(0, {}), 0U);
}

}  // namespace
}  // namespace guest::control::testing
