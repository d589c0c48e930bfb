// 16 clients that do whatever they like: nothing of theirs is lost or comes twice, and nothing of it stays.
// SIS_LLM_OPERATIONS is how many things they do together.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "guest/llm/service/testing/bench.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define SIS_COUNTS_BYTES 1
#endif
#endif

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::kMs;
using testing::kStepNs;
using testing::tokens_of;

constexpr std::uint32_t kClients = 16;
/// Of all together; 10,000 take a minute with the sanitisers.
constexpr std::uint32_t kOperations = 960;
constexpr std::uint32_t kMaxTokens = 12;
constexpr const char* kPrompts[] = {"one", "two", "three", "four"};

std::uint32_t operations() {
  const char* const text = std::getenv("SIS_LLM_OPERATIONS");
  return text == nullptr ? kOperations : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

std::uint64_t allocated_bytes() {
#ifdef SIS_COUNTS_BYTES
  return __sanitizer_get_current_allocated_bytes();
#else
  return 0;
#endif
}

using Answers = std::map<std::string, std::vector<Token>>;

/// One that submits, reads, polls, cancels, releases and closes at random.
class Client {
 public:
  Client(Bench& bench, OwnerId owner, const Answers& answers)
      : bench_(bench), caller_{.owner = owner}, answers_(answers), random_(owner) {}

  void act() {
    const std::uint64_t what = random_() % 100;
    if (what < 30 || open_.empty()) {
      submit();
    } else if (what < 70) {
      read(pick());
    } else if (what < 80) {
      poll(pick());
    } else if (what < 90) {
      cancel(pick());
    } else if (what < 98) {
      release(pick());
    } else {
      close();
    }
    if (random_() % 4 == 0) {
      threads::sleep_for(random_() % (4 * kStepNs));
    }
  }
  void close() {
    bench_->close(caller_);
    open_.clear();
  }
  [[nodiscard]] std::uint64_t whole_answers() const { return whole_; }

 private:
  struct Open {
    std::string prompt;
    std::uint32_t max_tokens;
    std::uint64_t next = 0;  ///< chunk
    std::vector<Token> tokens = {};
    bool cancelled = false;
    bool complete = false;  ///< all was read, and told to be all
  };
  using Entry = std::map<RequestId, Open>::iterator;

  Entry pick() { return std::next(open_.begin(), static_cast<std::ptrdiff_t>(random_() % open_.size())); }

  void submit() {
    const std::string prompt = kPrompts[random_() % std::size(kPrompts)];
    RequestOptions options{.model = "tiny",
                           .max_tokens = static_cast<std::uint32_t>(1 + random_() % kMaxTokens),
                           .priority = static_cast<std::uint8_t>(random_() % 8)};
    options.keep = random_() % 8 == 0 ? KeepSession::New : KeepSession::No;
    if (const auto id = bench_->submit(caller_, prompt, options)) {
      EXPECT_TRUE(open_.emplace(*id, Open{.prompt = prompt, .max_tokens = options.max_tokens}).second) << "an id twice";
    }
  }
  void read(Entry entry) {
    auto& [id, open] = *entry;
    std::array<Chunk, 3> chunks;
    const auto count = bench_->read(caller_.owner, id, open.next, chunks);
    if (!count) {
      // Results that were read to their end may be forgotten, and no others.
      EXPECT_TRUE(open.complete) << count.error().detail.view();
      open_.erase(entry);
      return;
    }
    for (std::size_t i = 0; i < *count; ++i) {
      EXPECT_EQ(chunks[i].number, open.next++);
      if (chunks[i].token != Chunk::kNoToken) {
        open.tokens.push_back(chunks[i].token);
      }
    }
    expect_right(id, open);
  }
  void expect_right(RequestId id, Open& open) {
    const std::vector<Token>& expected = answers_.at(open.prompt);
    ASSERT_LE(open.tokens.size(), open.max_tokens);
    EXPECT_TRUE(std::equal(open.tokens.begin(), open.tokens.end(), expected.begin()));
    look(id, open);
  }
  void poll(Entry entry) { look(entry->first, entry->second); }
  void look(RequestId id, Open& open) {
    const auto status = bench_->poll(caller_.owner, id);
    EXPECT_TRUE(status || open.complete);
    if (status && status->finished && status->chunks == open.next) {
      EXPECT_EQ(status->tokens, open.tokens.size());
      EXPECT_TRUE(open.cancelled || open.tokens.size() == open.max_tokens);
      whole_ += open.complete || open.cancelled ? 0 : 1;
      open.complete = true;
    }
  }
  void cancel(Entry entry) {
    // False: it was read to its end, and is forgotten.
    entry->second.cancelled = true;
    EXPECT_TRUE(bench_->cancel(caller_, entry->first) || entry->second.complete);
  }
  void release(Entry entry) {
    EXPECT_TRUE(bench_->release(caller_, entry->first) || entry->second.complete);
    open_.erase(entry);
  }

  Bench& bench_;
  const Caller caller_;
  const Answers& answers_;
  std::mt19937_64 random_;
  std::map<RequestId, Open> open_;
  std::uint64_t whole_ = 0;
};

Answers find_answers(Bench& bench) {
  Answers answers;
  for (const char* prompt : kPrompts) {
    const RequestId id = bench.submit({.model = "tiny", .max_tokens = kMaxTokens}, prompt, {.owner = 99});
    answers[prompt] = tokens_of(bench.read_all(id, 99));
    EXPECT_EQ(answers[prompt].size(), kMaxTokens);
  }
  bench->close({.owner = 99});
  return answers;
}

/// Each client does so many things in a thread of its own.
std::uint64_t run_clients(Bench& bench, const Answers& answers, std::uint32_t operations) {
  std::vector<threads::ThreadRef> clients;
  std::uint64_t whole = 0;
  for (std::uint32_t i = 0; i < kClients; ++i) {
    clients.push_back(threads::start("client", [&, i] {
      Client client(bench, i + 1, answers);
      for (std::uint32_t done = 0; done < operations; ++done) {
        client.act();
      }
      client.close();
      whole += client.whole_answers();
    }));
  }
  for (const threads::ThreadRef& client : clients) {
    client->join();
  }
  threads::sleep_for(10 * kMs);
  return whole;
}

TEST(Storm, loses_and_doubles_nothing_and_leaves_nothing) {
  in_thread([] {
    Bench bench({.requests = 48, .requests_per_owner = 4, .queue = 24, .in_flight = 6, .sessions = 4});
    bench.journal.keeps = false;
    const Answers answers = find_answers(bench);
    EXPECT_GT(run_clients(bench, answers, 20), 0U);  // whatever is allocated once, now is
    const std::uint64_t before = allocated_bytes();
    EXPECT_GT(run_clients(bench, answers, operations() / kClients), 20U);
    EXPECT_LE(allocated_bytes(), before + 4096);
    const StatisticsSnapshot now = bench->statistics();
    EXPECT_EQ(now.running + now.queue_depth + now.kept + now.sessions, 0U);
    EXPECT_EQ(now.requests, now.finished);
    EXPECT_EQ(now.failed, 0U);
    EXPECT_GT(now.evicted_sessions, 0U);
    EXPECT_EQ(bench.npu.read_counters()->regions, 2U);  // the model's file, and its steps
  });
}

}  // namespace
}  // namespace guest::llm
