// Calls of user tasks to the LLM service: what is copied when, and what hostile pointers and numbers come to.
#include "guest/process/task_llm.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "guest/process/testing/fake_task.hpp"

namespace guest::process {
namespace {

using testing::FakeTask;

/// Numbers as in guest/user/include/sis/llm.h, written out.
constexpr std::uint64_t kSubmit = 4096;
constexpr std::uint64_t kPoll = 4097;
constexpr std::uint64_t kCancel = 4098;
constexpr std::int64_t kFault = -14;
constexpr std::int64_t kInvalid = -22;
constexpr std::int64_t kTooLarge = -90;
constexpr std::int64_t kNoCapability = -134;

class FakeLlm final : public TaskLlm {
 public:
  [[nodiscard]] std::uint32_t max_prompt_bytes() const override { return 1024; }
  std::expected<std::uint64_t, Errno> submit(std::string_view prompt, UserLlmRequest& request) override {
    prompts.emplace_back(prompt);
    asked = request;
    if (refusal != Errno::None) {
      request.fits_at_ns = 77;
      return std::unexpected(refusal);
    }
    return 9;
  }
  Errno poll(std::uint64_t, UserLlmAnswer& answer, std::span<char> room) override {
    rooms.push_back(room.size());
    answer.text_bytes = static_cast<std::uint32_t>(std::min(room.size(), text.size()));
    std::memcpy(room.data(), text.data(), answer.text_bytes);
    answer.last = last;
    return refusal;
  }
  Errno cancel(std::uint64_t id) override {
    calls.push_back("cancel " + std::to_string(id));
    return refusal;
  }
  void release(std::uint64_t id) override { calls.push_back("release " + std::to_string(id)); }
  void close() override { calls.emplace_back("close"); }

  Errno refusal = Errno::None;
  std::string text = "once";
  std::uint32_t last = 0;
  UserLlmRequest asked{};
  std::vector<std::string> prompts;
  std::vector<std::size_t> rooms;
  std::vector<std::string> calls;
};

class TaskLlmTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kText = 512;  ///< where the task's text lies

  TaskLlmTest() { task.llm_of_handle_0 = &llm; }
  std::int64_t call(std::uint64_t number, std::uint64_t handle, std::uint64_t b, std::uint64_t c = 0) {
    return static_cast<std::int64_t>(system_call({number, {handle, b, c, 0, 0, 0}}, task));
  }
  UserLlmRequest request(std::string_view prompt) {
    std::memcpy(&task.memory[kText], prompt.data(), prompt.size());
    UserLlmRequest made{};
    made.prompt = FakeTask::kMemory + kText;
    made.prompt_bytes = static_cast<std::uint32_t>(prompt.size());
    return made;
  }
  UserLlmAnswer answer(std::uint32_t room) {
    UserLlmAnswer made{};
    made.text = FakeTask::kMemory + kText;
    made.text_room = room;
    return made;
  }
  template <typename T>
  T at(std::uint64_t address) {
    T value;
    std::memcpy(&value, &task.memory[address - FakeTask::kMemory], sizeof(value));
    return value;
  }
  FakeTask task;
  FakeLlm llm;
};

TEST_F(TaskLlmTest, request_is_submitted_with_the_text_that_it_points_to) {
  UserLlmRequest made = request("tell me");
  made.max_tokens = 5;
  EXPECT_EQ(call(kSubmit, 0, task.put(made)), 9);
  EXPECT_EQ(llm.prompts, std::vector<std::string>{"tell me"});
  EXPECT_EQ(llm.asked.max_tokens, 5U);
}

TEST_F(TaskLlmTest, handle_that_the_scenario_did_not_give_has_an_error_of_its_own) {
  const std::uint64_t where = task.put(request("x"));
  EXPECT_EQ(call(kSubmit, 1, where), kNoCapability);
  EXPECT_EQ(call(kPoll, ~std::uint64_t{0}, 9, where), kNoCapability);
  task.llm_of_handle_0 = nullptr;
  EXPECT_EQ(call(kSubmit, 0, where), kNoCapability);
  EXPECT_EQ(call(kCancel, 0, 9), kNoCapability);
  EXPECT_TRUE(llm.prompts.empty());
}

TEST_F(TaskLlmTest, refusal_says_when_the_request_would_fit) {
  llm.refusal = Errno::OverQuota;
  const std::uint64_t where = task.put(request("x"));
  EXPECT_EQ(call(kSubmit, 0, where), -122);
  EXPECT_EQ(at<UserLlmRequest>(where).fits_at_ns, 77U);
  EXPECT_EQ(call(kSubmit, 0, task.put(request("x"), FakeTask::kReadOnlyFrom)), kFault);
}

TEST_F(TaskLlmTest, request_that_points_to_nothing_of_the_task_is_not_submitted) {
  UserLlmRequest made = request("x");
  for (const std::uint64_t prompt :
       {std::uint64_t{0}, FakeTask::kMemory - 1, FakeTask::kMemory + 4096, ~std::uint64_t{0}}) {
    made.prompt = prompt;
    EXPECT_EQ(call(kSubmit, 0, task.put(made)), kFault) << prompt;
  }
  made.prompt = FakeTask::kMemory + 4096 - 1;
  made.prompt_bytes = 2;  // one byte of it is there
  EXPECT_EQ(call(kSubmit, 0, task.put(made)), kFault);
  EXPECT_EQ(call(kSubmit, 0, FakeTask::kMemory + 4096 - sizeof(UserLlmRequest) + 1), kFault);
  EXPECT_EQ(call(kSubmit, 0, 0), kFault);
  EXPECT_TRUE(llm.prompts.empty());
}

TEST_F(TaskLlmTest, sizes_and_reserved_fields_are_checked_before_memory_is_taken) {
  UserLlmRequest made = request("x");
  made.prompt_bytes = 1025;
  EXPECT_EQ(call(kSubmit, 0, task.put(made)), kTooLarge);
  made.prompt_bytes = ~std::uint32_t{0};
  EXPECT_EQ(call(kSubmit, 0, task.put(made)), kTooLarge);
  made.prompt_bytes = 1;
  made.reserved = 1;
  EXPECT_EQ(call(kSubmit, 0, task.put(made)), kInvalid);
  EXPECT_EQ(call(kPoll, 0, 9, task.put(answer(47))), kInvalid);
  EXPECT_TRUE(llm.prompts.empty() && llm.rooms.empty());
}

TEST_F(TaskLlmTest, answer_is_written_with_its_text) {
  const std::uint64_t where = task.put(answer(48));
  EXPECT_EQ(call(kPoll, 0, 9, where), 0);
  EXPECT_EQ(at<UserLlmAnswer>(where).text_bytes, 4U);
  EXPECT_EQ(std::memcmp(&task.memory[kText], "oncem", 5), 0) << "no byte behind it";
  call(kPoll, 0, 9, task.put(answer(~std::uint32_t{0})));
  call(kPoll, 0, 9, task.put(answer(0)));
  EXPECT_EQ(llm.rooms, (std::vector<std::size_t>{48, 512, 0}));
  EXPECT_TRUE(llm.calls.empty());
}

TEST_F(TaskLlmTest, last_piece_is_kept_until_the_task_has_it) {
  llm.last = 1;
  UserLlmAnswer lost = answer(48);
  lost.text = FakeTask::kMemory + FakeTask::kReadOnlyFrom;
  EXPECT_EQ(call(kPoll, 0, 9, task.put(lost)), kFault);
  EXPECT_EQ(call(kPoll, 0, 9, task.put(answer(48), FakeTask::kReadOnlyFrom)), kFault);
  EXPECT_TRUE(llm.calls.empty());
  EXPECT_EQ(call(kPoll, 0, 9, task.put(answer(48))), 0);
  EXPECT_EQ(llm.calls, std::vector<std::string>{"release 9"});
}

TEST_F(TaskLlmTest, errors_of_the_service_are_negative_numbers) {
  llm.refusal = Errno::NoRight;
  EXPECT_EQ(call(kPoll, 0, 9, task.put(answer(48))), -13);
  llm.refusal = Errno::NotFound;
  EXPECT_EQ(call(kCancel, 0, 9), -2);
  llm.refusal = Errno::None;
  EXPECT_EQ(call(kCancel, 0, 9), 0);
}

}  // namespace
}  // namespace guest::process
