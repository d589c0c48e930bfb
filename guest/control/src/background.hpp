// Commands whose work takes a thread, so that the loop goes on meanwhile.
//
//   handler: start() ---> thread: work(), answer(), clean_up() ---> loop, when the thread has gone: complete() or
//   fail()
//                           cancel(): nobody is answered any more
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string_view>

#include "guest/control/command.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "guest/kernel/work.hpp"

namespace guest::control {

/// Owns itself once it is started: it frees itself in the loop, when its thread has gone.
class Background : public Operation {
 public:
  /// What happens to the thread of one that nobody waits for any more.
  enum class OnCancel : std::uint8_t {
    StopThread,  ///< what it waits in ends, with the word for that
    Flag,        ///< work() looks at cancelled(), as its waits must not end
  };
  explicit Background(OnCancel on_cancel) : on_cancel_(on_cancel) {}
  virtual ~Background() = default;
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Handled::Later, or why there is no thread for it. `work` null: there was no memory for it. On this CPU.
  static std::expected<Handled, Refusal> start(std::unique_ptr<Background> work, std::string_view thread_name,
                                               Caller& caller);
  void cancel() final;

 protected:
  using Done = std::expected<void, Refusal>;
  // All in the thread.
  virtual Done work() = 0;
  /// After work() has succeeded, if somebody waits for it.
  virtual void answer(ResultMap& result) const = 0;
  /// Last: gives back what takes a device to give back. The rest goes with the object, in the loop.
  virtual void clean_up() {}
  /// For work(), which then ends as soon as it can.
  [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  void run();
  Done encode();
  void finish();

  const OnCancel on_cancel_;
  std::atomic<bool> cancelled_{false};  ///< relaxed: it orders nothing

  Caller* caller_ = nullptr;  ///< null: nobody waits any more
  threads::ThreadRef thread_;
  Done done_;
  std::unique_ptr<std::byte[]> answer_;
  std::size_t answer_bytes_ = 0;
  kernel::WorkItem gone_{[](void* self) { static_cast<Background*>(self)->finish(); }, this};
};

}  // namespace guest::control
