// A service with a small model, on the CPU of a test, where a step takes kStepNs.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/llm/model/testing/small_model.hpp"
#include "guest/llm/service/service.hpp"
#include "guest/llm/tokenizer/testing/vocabularies.hpp"
#include "guest/ml/memory.hpp"
#include "guest/npu/cpu_accelerator.hpp"

namespace guest::llm::testing {

inline constexpr std::uint64_t kStepNs = 100'000;
inline constexpr std::uint64_t kMs = 1'000'000;

/// The scalar kernels. A step has one ArgMax.
inline const ::npu::KernelSet& timed_kernels() {
  static const ::npu::KernelSet set = [] {
    ::npu::KernelSet timed = ::npu::scalar_kernels();
    timed.kernels[static_cast<unsigned>(abi::npu::Opcode::ArgMax)] = [](const ::npu::Checked& command,
                                                                        ::npu::Units units) {
      threads::work(kStepNs);
      return ::npu::scalar_kernels().kernels[static_cast<unsigned>(abi::npu::Opcode::ArgMax)](command, units);
    };
    return timed;
  }();
  return set;
}

/// Random weights, the tokens of bytes, and as many positions as `context`.
inline std::string service_model(std::uint32_t context = 128, std::uint32_t seed = 1) {
  const SmallModel shape{.context = context, .vocabulary = 260, .layers = 1, .seed = seed};
  const Tokens tokens = pieces();
  gguf::testing::Builder builder = keys_of(shape);
  builder.put("tokenizer.ggml.model", "llama").put_array("tokenizer.ggml.tokens", tokens.texts);
  builder.put_array("tokenizer.ggml.token_type", tokens.types).put_array("tokenizer.ggml.scores", tokens.scores);
  builder.put("tokenizer.ggml.bos_token_id", std::uint32_t{1}).put("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  put_tensors(builder, shape);
  return builder.bytes();
}

/// What an audit log was told, as words.
class Journal final : public Audit {
 public:
  void record(const AuditEntry& entry) override {
    threads::work(takes_ns);
    if (keeps) {
      lines.push_back(std::string(to_string(entry.operation)) + " " + std::string(entry.decision) + " " +
                      std::to_string(entry.status));
      last = entry;
      last.model = {};
    }
  }
  std::uint64_t takes_ns = 0;  ///< of each record, with the service's lock held
  bool keeps = true;
  std::vector<std::string> lines;
  AuditEntry last;
};

/// In a thread of the fake CPU 0.
class Bench {
 public:
  explicit Bench(const ServiceOptions& options = {}, kernel::WorkItem* changed = nullptr,
                 const ::npu::KernelSet& kernels = timed_kernels(), sched::Server* server = nullptr)
      : npu(kernels) {
    auto made = Service::make(npu, options, journal, changed);
    EXPECT_TRUE(made) << (made ? "" : made.error().detail.view());
    service_ = std::move(*made);
    load("tiny", service_model());
    EXPECT_EQ(service_->start({.name = "llm", .server = server}), kernel::Status::Ok);
  }
  ~Bench() {
    service_->stop();
    service_.reset();
    EXPECT_EQ(npu.read_counters()->regions, 0U);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void load(const std::string& id, const std::string& file) {
    files_.push_back(*ml::Memory::make(file.size()));
    std::memcpy(files_.back()->bytes().data(), file.data(), file.size());
    const kernel::Outcome loaded = service_->load({}, id, files_.back()->bytes());
    EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().detail.view());
  }
  Service* operator->() { return service_.get(); }

  /// The id, or with a failure of the test 0.
  RequestId submit(const RequestOptions& options, std::string_view prompt = "one", Caller caller = {.owner = 1}) {
    const auto id = service_->submit(caller, prompt, options);
    EXPECT_TRUE(id) << (id ? "" : id.error().error.detail.view());
    return id.value_or(0);
  }
  /// "taken", or the error.
  std::string refusal(const RequestOptions& options, std::string_view prompt = "one", Caller caller = {.owner = 1}) {
    const auto id = service_->submit(caller, prompt, options);
    if (id) {
      return "taken";
    }
    return std::string(id.error().error.name) + ": " + std::string(id.error().error.detail.view());
  }
  RequestStatus poll(RequestId id, OwnerId owner = 1) {
    const auto status = service_->poll(owner, id);
    EXPECT_TRUE(status) << (status ? "" : status.error().detail.view());
    return status.value_or(RequestStatus{});
  }
  /// Until it has finished; reads nothing.
  RequestStatus wait_for_end(RequestId id, OwnerId owner = 1) {
    while (!poll(id, owner).finished) {
      threads::sleep_for(kStepNs / 4);
    }
    return poll(id, owner);
  }
  /// Reads all of it, until it has finished.
  std::vector<Chunk> read_all(RequestId id, OwnerId owner = 1) {
    std::vector<Chunk> all;
    std::vector<Chunk> some(8);
    for (;;) {
      EXPECT_TRUE(service_->wait(owner, id, all.size()));
      const auto count = service_->read(owner, id, all.size(), some);
      EXPECT_TRUE(count);
      if (!count || *count == 0) {
        return all;
      }
      for (std::size_t i = 0; i < *count; ++i) {
        EXPECT_EQ(some[i].number, all.size());
        all.push_back(some[i]);
      }
    }
  }

  npu::CpuAccelerator npu;
  Journal journal;

 private:
  std::vector<std::unique_ptr<ml::Memory>> files_;
  std::unique_ptr<Service> service_;
};

inline std::vector<Token> tokens_of(const std::vector<Chunk>& chunks) {
  std::vector<Token> tokens;
  for (const Chunk& chunk : chunks) {
    if (chunk.token != Chunk::kNoToken) {
      tokens.push_back(chunk.token);
    }
  }
  return tokens;
}

inline std::string text_of(const std::vector<Chunk>& chunks) {
  std::string text;
  for (const Chunk& chunk : chunks) {
    text += chunk.text();
  }
  return text;
}

/// The body in a thread of the fake CPU 0, to its end. It is more urgent than the service's worker.
inline void in_thread(const std::function<void()>& body) {
  static sched::Server server(9'000, {.budget = 5 * kMs, .period = 10 * kMs, .deadline = 10 * kMs});
  static const bool admitted = [] {
    threads::admit(server);
    return true;
  }();
  static_cast<void>(admitted);
  bool ended = false;
  threads::start(
      "test",
      [&] {
        body();
        ended = true;
      },
      0, &server);
  threads::run_until_idle();
  EXPECT_TRUE(ended) << "the test waits for something that does not come";
}

}  // namespace guest::llm::testing
