// The LLM service as commands see it.
//
//   worker's thread: chunks, an end --raise()--> the loop: LlmWaiters --> LlmWaiter::llm_changed(), of each
#pragma once

#include <cstdint>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/intrusive_list.hpp"
#include "guest/kernel/work.hpp"
#include "guest/llm/catalog/catalog.hpp"
#include "guest/llm/catalog/clients.hpp"
#include "guest/llm/service/service.hpp"

namespace guest::control {

/// Waits for what its requests say.
class LlmWaiter {
 public:
  /// Some request has chunks that it had not, or has ended. In the loop; must neither add nor remove waiters.
  virtual void llm_changed() = 0;
  kernel::ListLink<LlmWaiter> waiting;

 protected:
  ~LlmWaiter() = default;
};

/// In the loop's thread, but for changed().
class LlmWaiters {
 public:
  /// For Service::make(): raised from any thread.
  [[nodiscard]] kernel::WorkItem& changed() { return item_; }
  void add(LlmWaiter& waiter) { waiters_.push_back(waiter); }
  void remove(LlmWaiter& waiter) { waiters_.remove(waiter); }

 private:
  using List = kernel::IntrusiveList<LlmWaiter, &LlmWaiter::waiting>;
  void tell() {
    for (LlmWaiter* waiter = waiters_.front(); waiter != nullptr; waiter = List::after(*waiter)) {
      waiter->llm_changed();
    }
  }

  List waiters_;
  kernel::WorkItem item_{[](void* self) { static_cast<LlmWaiters*>(self)->tell(); }, this};
};

/// In the loop's thread.
class Llm {
 public:
  /// All outlive it.
  Llm(llm::Service& with, llm::Catalog& models_of_it, const llm::Clients& who_is_who, LlmWaiters& who_waits)
      : service(with), catalog(models_of_it), clients(who_is_who), waiters(who_waits) {}

  llm::Service& service;
  llm::Catalog& catalog;
  const llm::Clients& clients;
  LlmWaiters& waiters;

  /// A connection of this number has submitted something. False: there is no room to remember that.
  [[nodiscard]] bool note_connection(std::uint32_t number);
  /// It is gone: what it submitted is cancelled and forgotten.
  void close_connection(std::uint32_t number);

 private:
  static constexpr std::size_t kMaxConnections = 256;  ///< more than there can be at a time (server.hpp)
  kernel::BoundedArray<std::uint32_t, kMaxConnections> connections_;
};

}  // namespace guest::control
