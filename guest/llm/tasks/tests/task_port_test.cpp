// What a user task reaches through its handle: with real requests to a small model, and with calls as a hostile task
// makes them.
#include "guest/llm/tasks/task_port.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "abi/control.hpp"
#include "guest/llm/service/testing/bench.hpp"
#include "guest/process/syscalls.hpp"
#include "guest/process/testing/fake_task.hpp"

namespace guest::llm {
namespace {

using abi::control::Rights;
using process::Errno;
using process::UserLlmAnswer;
using process::UserLlmRequest;
using testing::Bench;
using testing::in_thread;
using testing::kMs;

constexpr auto kSubmit = static_cast<std::uint8_t>(Rights::Submit);
constexpr auto kObserve = static_cast<std::uint8_t>(Rights::Observe);
constexpr std::uint8_t kBoth = kSubmit | kObserve;

process::LlmGrant grant(std::uint8_t rights = kBoth) { return {.model = "tiny", .max_tokens = 20, .rights = rights}; }

/// Ports of tasks on a service of its own.
class Ports {
 public:
  explicit Ports(const ServiceOptions& options = {}) : bench(options), ports_(bench.operator->(), 0) {}
  std::unique_ptr<process::TaskLlm> open(const process::LlmGrant& with = grant()) { return ports_.open(with); }
  Bench bench;

 private:
  TaskPorts ports_;
};

UserLlmRequest asking(std::uint32_t max_tokens) {
  UserLlmRequest request{};
  request.max_tokens = max_tokens;
  return request;
}

std::uint64_t submit(process::TaskLlm& port, std::uint32_t max_tokens = 4) {
  UserLlmRequest request = asking(max_tokens);
  const auto id = port.submit("one", request);
  EXPECT_TRUE(id);
  return id.value_or(0);
}

/// Why it is refused.
Errno refusal(process::TaskLlm& port, UserLlmRequest& request, std::string_view prompt = "one") {
  const auto id = port.submit(prompt, request);
  return id ? Errno::None : id.error();
}

Errno poll(process::TaskLlm& port, std::uint64_t id, UserLlmAnswer& answer) {
  std::array<char, 512> text;
  return port.poll(id, answer, text);
}
Errno poll(process::TaskLlm& port, std::uint64_t id) {
  UserLlmAnswer answer{};
  return poll(port, id, answer);
}

TEST(TaskPort, gives_an_answer_piece_by_piece_and_says_which_is_the_last) {
  in_thread([] {
    Ports ports;
    const auto port = ports.open();
    const std::uint64_t id = submit(*port, 20);
    std::string said;
    UserLlmAnswer answer{};
    answer.wait_ns = 100 * kMs;
    for (unsigned polls = 0; answer.last == 0; ++polls) {
      ASSERT_LT(polls, 100U);
      std::array<char, process::TaskLlm::kMinTextRoom> text;
      ASSERT_EQ(port->poll(id, answer, text), Errno::None);
      said.append(text.data(), answer.text_bytes);
    }
    EXPECT_EQ(answer.tokens, 20U);
    EXPECT_EQ(answer.state, 2U);
    EXPECT_EQ(answer.reason, static_cast<std::uint32_t>(StopReason::Length));
    EXPECT_LE(answer.submitted_ns, answer.began_ns);
    EXPECT_LT(answer.first_token_ns, answer.ended_ns);
    const RequestOptions options{.model = "tiny", .max_tokens = 20};
    EXPECT_EQ(said, testing::text_of(ports.bench.read_all(ports.bench.submit(options))));
  });
}

TEST(TaskPort, each_right_is_for_its_calls) {
  in_thread([] {
    Ports ports;
    const auto submits = ports.open(grant(kSubmit));
    const auto observes = ports.open(grant(kObserve));
    const auto nothing = ports.open(grant(0));
    UserLlmRequest request = asking(4);
    const std::uint64_t id = submit(*submits);
    EXPECT_EQ(poll(*submits, id), Errno::NoRight);
    EXPECT_EQ(submits->cancel(id), Errno::None);
    EXPECT_EQ(refusal(*observes, request), Errno::NoRight);
    EXPECT_EQ(observes->cancel(id), Errno::NoRight);
    EXPECT_EQ(poll(*observes, id), Errno::NotFound);
    EXPECT_EQ(refusal(*nothing, request), Errno::NoRight);
    EXPECT_EQ(poll(*nothing, id), Errno::NoRight);
    EXPECT_EQ(nothing->cancel(id), Errno::NoRight);
    EXPECT_EQ(ports.bench->statistics().requests, 1U);
  });
}

TEST(TaskPort, requests_of_another_task_are_not_there) {
  in_thread([] {
    Ports ports;
    const auto one = ports.open();
    const auto other = ports.open();
    const std::uint64_t id = submit(*one, 20);
    EXPECT_EQ(poll(*other, id), Errno::NotFound);
    EXPECT_EQ(other->cancel(id), Errno::NotFound);
    other->release(id);
    other->close();
    EXPECT_EQ(poll(*one, id), Errno::None);
    // Nor are those of who else asks.
    const RequestId of_connection = ports.bench.submit({.model = "tiny", .max_tokens = 20});
    EXPECT_EQ(one->cancel(of_connection), Errno::NotFound);
    EXPECT_EQ(ports.bench.wait_for_end(of_connection).tokens, 20U);
  });
}

TEST(TaskPort, what_was_released_or_closed_is_gone_and_its_number_is_nobodys) {
  in_thread([] {
    Ports ports;
    const auto port = ports.open();
    const std::uint64_t id = submit(*port);
    port->release(id);
    EXPECT_EQ(poll(*port, id), Errno::NotFound);
    EXPECT_EQ(port->cancel(id), Errno::NotFound);
    port->release(id);
    const std::uint64_t next = submit(*port, 20);
    EXPECT_NE(next, id);
    port->close();
    EXPECT_EQ(poll(*port, next), Errno::NotFound);
    port->close();
    // The task is started anew: an owner of its own, which has none of the old one's requests.
    const auto again = ports.open();
    EXPECT_EQ(poll(*again, next), Errno::NotFound);
    for (const std::uint64_t never : {std::uint64_t{0}, next + 1, ~std::uint64_t{0}}) {
      EXPECT_EQ(poll(*again, never), Errno::NotFound) << never;
    }
    threads::sleep_for(kMs);
    EXPECT_EQ(ports.bench->list(0, {}), 0U);
  });
}

TEST(TaskPort, chunks_that_were_read_or_are_to_come_cannot_be_named) {
  in_thread([] {
    Ports ports;
    const auto port = ports.open();
    const std::uint64_t id = submit(*port, 4);
    UserLlmAnswer answer{};
    answer.wait_ns = 100 * kMs;
    answer.from = 3;
    EXPECT_EQ(poll(*port, id, answer), Errno::None);
    for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{5}, ~std::uint64_t{0}}) {
      UserLlmAnswer wrong{};
      wrong.from = from;
      EXPECT_EQ(poll(*port, id, wrong), Errno::Invalid) << from;
    }
    answer.wait_ns = ~std::uint64_t{0};  // for ever, of one that has ended
    EXPECT_EQ(poll(*port, id, answer), Errno::None);
    EXPECT_EQ(answer.last, 1U);
  });
}

TEST(TaskPort, asks_for_no_more_than_its_handle_gives) {
  in_thread([] {
    Ports ports;
    const auto port = ports.open();
    UserLlmRequest request = asking(21);
    EXPECT_EQ(refusal(*port, request), Errno::OverQuota);
    const std::uint64_t all = submit(*port, 0);
    UserLlmAnswer answer{};
    answer.wait_ns = 100 * kMs;
    while (answer.last == 0) {
      ASSERT_EQ(poll(*port, all, answer), Errno::None);
    }
    EXPECT_EQ(answer.tokens, 20U);
  });
}

TEST(TaskPort, refusals_have_numbers_of_their_own) {
  in_thread([] {
    Ports ports({.requests_per_owner = 1, .prompt_bytes = 300, .period_ns = kMs, .tokens_per_period = 15});
    const auto port = ports.open();
    UserLlmRequest request = asking(16);
    EXPECT_EQ(refusal(*port, request), Errno::OverQuota);
    EXPECT_EQ(request.fits_at_ns, 0U);  // never
    request = asking(1);
    request.temperature_milli = Sampler::kMaxTemperatureMilli + 1;
    EXPECT_EQ(refusal(*port, request), Errno::Invalid);
    request.temperature_milli = 0;
    EXPECT_EQ(refusal(*port, request, std::string(301, 'x')), Errno::TooLarge);  // bytes
    EXPECT_EQ(refusal(*port, request, std::string(200, 'x')), Errno::TooLarge);  // tokens
    submit(*port, 10);
    EXPECT_EQ(refusal(*port, request), Errno::TryAgain);
    const auto other = ports.open();
    request = asking(10);
    EXPECT_EQ(refusal(*other, request), Errno::OverQuota);
    EXPECT_GT(request.fits_at_ns, threads::now_ns());
    const auto of_none = ports.open({.model = "none", .max_tokens = 1, .rights = kBoth});
    request = asking(1);
    EXPECT_EQ(refusal(*of_none, request), Errno::NoDevice);
  });
}

TEST(TaskPort, machine_without_a_service_has_no_device) {
  TaskPorts ports(nullptr, 0);
  const auto port = ports.open(grant());
  UserLlmRequest request = asking(1);
  EXPECT_EQ(refusal(*port, request), Errno::NoDevice);
  EXPECT_EQ(poll(*port, 1), Errno::NoDevice);
  EXPECT_EQ(port->cancel(1), Errno::NoDevice);
  EXPECT_EQ(port->max_prompt_bytes(), 0U);
  port->close();
}

/// A task with a handle, and calls as it makes them.
class Task {
 public:
  explicit Task(process::TaskLlm& port) { task.llm_of_handle_0 = &port; }
  std::int64_t call(process::SyscallNumber number, std::uint64_t a, std::uint64_t b, std::uint64_t c = 0) {
    return static_cast<std::int64_t>(
        process::system_call({static_cast<std::uint64_t>(number), {a, b, c, 0, 0, 0}}, task));
  }
  process::testing::FakeTask task;
};

using process::SyscallNumber;
using process::testing::FakeTask;
constexpr std::int64_t kFault = -14;
constexpr std::int64_t kNotFound = -2;
constexpr std::size_t kText = 1024;  // where its text lies

TEST(TaskPort, request_that_points_anywhere_asks_nothing) {
  in_thread([] {
    Ports ports;
    const auto port = ports.open();
    Task task(*port);
    UserLlmRequest request = asking(4);
    request.prompt_bytes = 16;
    for (const std::uint64_t prompt :
         {std::uint64_t{0}, FakeTask::kMemory - 1, FakeTask::kMemory + 4096 - 15, ~std::uint64_t{0} - 8}) {
      request.prompt = prompt;
      EXPECT_EQ(task.call(SyscallNumber::LlmSubmit, 0, task.task.put(request)), kFault) << prompt;
    }
    EXPECT_EQ(task.call(SyscallNumber::LlmSubmit, 0, FakeTask::kMemory + 4096 - 8), kFault);
    EXPECT_EQ(task.call(SyscallNumber::LlmSubmit, 1, task.task.put(request)), -134);
    EXPECT_EQ(ports.bench->statistics().requests, 0U);
    EXPECT_EQ(ports.bench->statistics().rejects, 0U);
  });
}

TEST(TaskPort, answer_that_found_no_memory_of_the_task_is_not_lost) {
  in_thread([] {
    Ports ports;
    const auto port = ports.open();
    Task task(*port);
    UserLlmRequest request = asking(4);
    request.prompt = FakeTask::kMemory + kText;
    request.prompt_bytes = 3;
    const std::int64_t id = task.call(SyscallNumber::LlmSubmit, 0, task.task.put(request));
    ASSERT_GT(id, 0);
    const auto number = static_cast<std::uint64_t>(id);
    UserLlmAnswer answer{};
    answer.wait_ns = 100 * kMs;
    answer.from = 3;
    EXPECT_EQ(task.call(SyscallNumber::LlmPoll, 0, number, task.task.put(answer)), 0);
    answer.text_room = 512;
    answer.text = FakeTask::kMemory + FakeTask::kReadOnlyFrom;
    EXPECT_EQ(task.call(SyscallNumber::LlmPoll, 0, number, task.task.put(answer)), kFault);
    answer.text = FakeTask::kMemory + kText;
    EXPECT_EQ(task.call(SyscallNumber::LlmPoll, 0, number, task.task.put(answer, FakeTask::kReadOnlyFrom)), kFault);
    EXPECT_EQ(task.call(SyscallNumber::LlmPoll, 0, number, task.task.put(answer)), 0);
    UserLlmAnswer got;
    std::memcpy(&got, task.task.memory.data(), sizeof(got));
    EXPECT_EQ(got.last, 1U);
    // And with that it is forgotten.
    EXPECT_EQ(task.call(SyscallNumber::LlmPoll, 0, number, task.task.put(answer)), kNotFound);
    EXPECT_EQ(task.call(SyscallNumber::LlmCancel, 0, number), kNotFound);
  });
}

}  // namespace
}  // namespace guest::llm
