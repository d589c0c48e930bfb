// Runs commands as the shell does, on a machine that is not there.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guest/control/command.hpp"
#include "guest/control/testing/fake_machine.hpp"

namespace guest::control::testing {

using nlohmann::json;

/// "code: message" of what run() gives for a command that was refused.
inline std::string told(const json& answer) { return answer.value("code", "") + ": " + answer.value("message", ""); }

/// What was said, without what was said again right behind: how many allocations a thread takes is the host's affair.
class Messages {
 public:
  Messages(std::initializer_list<std::string> all = {}) : all_(all) {}
  void add(std::string message) {
    if (all_.empty() || all_.back() != message) {
      all_.push_back(std::move(message));
    }
  }
  bool operator==(const Messages&) const = default;
  friend void PrintTo(const Messages& messages, std::ostream* output) {
    for (const std::string& message : messages.all_) {
      *output << "\n  " << message;
    }
  }

 private:
  std::vector<std::string> all_;
};

class TextCapture final : public kernel::TextOutput {
 public:
  void write(std::string_view part) override { text += part; }
  std::string text;
};

class NoCaller final : public Caller {
 public:
  void complete(std::span<const std::byte>) override { ADD_FAILURE() << "completed later"; }
  void fail(const Refusal&) override { ADD_FAILURE() << "failed later"; }
  void defer(Operation&) override { ADD_FAILURE() << "deferred"; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte>) override { return false; }
};

/// Of commands that may answer later.
class LaterCaller final : public Caller {
 public:
  void complete(std::span<const std::byte> encoded) override {
    EXPECT_TRUE(answer.is_null()) << "answered twice";
    answer = json::from_cbor(encoded);
    operation = nullptr;
    if (then) {
      then();
    }
  }
  void fail(const Refusal& refusal) override { ADD_FAILURE() << refusal.message.view(); }
  void defer(Operation& with) override { operation = &with; }
  bool has_room() override { return room; }
  bool emit(std::span<const std::byte> encoded) override {
    EXPECT_NE(operation, nullptr) << "an event of what was not deferred, or after its answer";
    events.push_back(json::from_cbor(encoded));
    return true;
  }
  json answer;
  std::vector<json> events;
  bool room = true;                ///< for events
  Operation* operation = nullptr;  ///< null: it was not deferred, or has been answered
  std::function<void()> then;      ///< what the caller does when it has its answer
};

class CommandTest : public ::testing::Test {
 protected:
  /// Runs a command with words; its result as JSON, or {"code", "message"}.
  json run(std::string_view name, const std::vector<std::string_view>& words = {}) {
    NoCaller caller;
    return run_for(caller, name, words);
  }
  /// The same; null if it answers later.
  json run_for(Caller& caller, std::string_view name, const std::vector<std::string_view>& words) {
    const Command* command = find_command(name);
    if (command == nullptr) {
      return nullptr;
    }
    std::vector<char> scratch(1024);
    const auto arguments = Arguments::parse_words(command->arguments, words, scratch);
    if (!arguments) {
      field = arguments.error().field.view();
      return {{"code", arguments.error().code}, {"message", arguments.error().message.view()}};
    }
    CborWriter writer(memory);
    ResultMap result(writer);
    const auto handled = command->handler(machine.services, *arguments, caller, result);
    if (!handled) {
      field = handled.error().field.view();
      return {{"code", handled.error().code}, {"message", handled.error().message.view()}};
    }
    if (*handled == Handled::Later) {
      return nullptr;
    }
    result.finish();
    EXPECT_FALSE(writer.overflowed());
    TextCapture capture;
    (command->render != nullptr ? command->render : render_map)(capture, read_own_cbor(writer.written()));
    text = capture.text;
    return json::from_cbor(writer.written());
  }

  FakeMachine machine;
  std::vector<std::byte> memory = std::vector<std::byte>(65536);
  std::string text;
  std::string field;  ///< of the last refusal
};

}  // namespace guest::control::testing
