// A real LLM service with small models, and its commands.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "command_fixture.hpp"
#include "guest/graph/operators/builtin.hpp"
#include "guest/graph/operators/services.hpp"
#include "guest/graph/run/graph_set.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/kernel/work.hpp"
#include "guest/llm/catalog/testing/packages.hpp"
#include "guest/llm/service/audit.hpp"
#include "guest/npu/cpu_accelerator.hpp"
#include "npu/kernels/kernels.hpp"

namespace guest::control::testing {

class NoAudit final : public llm::Audit {
 public:
  void record(const llm::AuditEntry&) override {}
};

class LlmCaller final : public Caller {
 public:
  void complete(std::span<const std::byte> encoded) override {
    answer = json::from_cbor(encoded);
    result.assign(encoded.begin(), encoded.end());
  }
  void fail(const Refusal& refusal) override {
    answer = {{"code", refusal.code}, {"message", refusal.message.view()}, {"fits_at_ns", refusal.fits_at_ns}};
  }
  void defer(Operation& with) override { operation = &with; }
  bool has_room() override { return room; }
  bool emit(std::span<const std::byte> encoded) override {
    events.push_back(json::from_cbor(encoded));
    return true;
  }
  json answer;
  std::vector<std::byte> result;
  std::vector<json> events;
  bool room = true;
  Operation* operation = nullptr;
};

class LlmCommandsTest : public CommandTest {
 protected:
  LlmCommandsTest() {
    threads::start_cpus();
    machine.trust.policy.key = llm::package::testing::kOurs.key;
    const std::string model = llm::testing::runnable_model();
    files_.put_model("tiny", model, llm::testing::manifest_for("tiny", model, 3));
    files_.put_model("bare", model);
    const std::string wide = llm::testing::runnable_model(512);
    files_.put_model("wide", wide, llm::testing::manifest_for("wide", wide, 1, 512));
    files_.open(machine.files);
    machine.services.caller.rights = security::Rights::All;
  }
  ~LlmCommandsTest() override {
    pump();
    graph::set_operator_services({});
    desk_.reset();
    catalog_.reset();
    if (service_ != nullptr) {
      threads::start("end", [this] { service_->stop(); });
      threads::run_until_idle();
    }
    service_.reset();
    EXPECT_EQ(npu_.read_counters()->regions, 0U);
  }

  void start(const llm::ServiceOptions& options = {}) {
    service_ = std::move(*llm::Service::make(npu_, options, audit_, &waiters_.changed()));
    catalog_ = std::make_unique<llm::Catalog>(*service_, machine.trust, machine.files);
    desk_ = std::make_unique<Llm>(*service_, *catalog_, clients_, waiters_);
    machine.services.llm = desk_.get();
    ASSERT_EQ(service_->start({.name = "llm"}), kernel::Status::Ok);
    ASSERT_EQ(ask("llmctl load", {"tiny"})["state"], "loaded");
  }
  /// Operators of graphs have the service.
  void know_operators() {
    static const bool added = [] {
      graph::graph_set().kinds().add(graph::builtin_kinds());
      return true;
    }();
    EXPECT_TRUE(added);
    graph::set_operator_services({.llm = service_.get()});
  }
  /// Runs all that there is to run.
  void pump() {
    bool ran = true;
    while (ran) {
      threads::run_until_idle();
      ran = kernel::work_queue().run_one();
      ran = machine.work.run_one() || ran;
    }
  }
  /// What the command answers, now or later.
  json ask(std::string_view command, const std::vector<std::string_view>& words = {}) {
    LlmCaller caller;
    const json now = run_for(caller, command, words);
    pump();
    return now.is_null() ? caller.answer : now;
  }
  std::string refusal(std::string_view command, const std::vector<std::string_view>& words) {
    return told(ask(command, words));
  }

  npu::CpuAccelerator npu_{::npu::scalar_kernels()};
  NoAudit audit_;
  llm::testing::TestArchive files_;
  llm::Clients clients_;
  LlmWaiters waiters_;
  std::unique_ptr<llm::Service> service_;
  std::unique_ptr<llm::Catalog> catalog_;
  std::unique_ptr<Llm> desk_;
};

}  // namespace guest::control::testing
