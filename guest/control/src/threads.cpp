// ps and top: the threads, and what processor time they get.
#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <utility>

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "handlers.hpp"

namespace guest::control {

namespace error = abi::control::error;

namespace {

/// Threads that an answer shows; more would not fit into a frame.
constexpr std::size_t kMaxShown = 256;
constexpr std::uint64_t kPermille = 1000;

void add_thread(ResultMap& entry, const threads::Thread& thread) {
  entry.add("id", thread.id());
  entry.add("name", thread.name());
  entry.add("cpu", thread.cpu());
  if (const sched::Server* const server = thread.server()) {
    entry.add("server", server->id());
  }
}

}  // namespace

HandlerResult handle_ps(Services&, const Arguments&, Caller&, ResultMap& result) {
  CborWriter& writer = result.key_for("threads");
  const std::size_t token = writer.begin_array();
  std::size_t shown = 0;
  std::uint64_t left_off = 0;
  for (threads::ThreadRef thread = threads::next_thread(0); thread; thread = threads::next_thread(thread->id())) {
    if (shown == kMaxShown) {
      ++left_off;
      continue;
    }
    const threads::ThreadReport report = threads::report(*thread);
    ResultMap entry(writer);
    add_thread(entry, *thread);
    entry.add("state", report.running ? "running" : to_string(report.state));
    entry.add("ran_ns", static_cast<std::uint64_t>(report.ran));
    entry.finish();
    ++shown;
  }
  writer.end(token, shown);
  result.add("left_off", left_off);
  return Handled::Now;
}

namespace {

/// Looks at the threads twice, and answers with what each has had in between. Frees itself in its work item, which
/// always runs once: a cancelled one is only made to run at once.
class Top final : public Operation {
 public:
  Top(Services& services, Caller& caller) : services_(services), caller_(&caller) {}

  void start(std::uint64_t interval_ns) {
    begin_ns_ = services_.clock.now_ns();
    for (threads::ThreadRef thread = threads::next_thread(0); thread && count_ < kMaxShown;
         thread = threads::next_thread(thread->id())) {
      const threads::ThreadReport report = threads::report(*thread);
      seen_[count_++] = {.thread = thread, .ran = report.ran, .since = report.at};
    }
    services_.timers.arm(timer_, begin_ns_ + interval_ns);
  }
  void cancel() override {
    caller_ = nullptr;
    // No interrupt between the check and the call: the item must not be raised twice.
    const kernel::CriticalSection critical;
    if (timer_.armed()) {
      services_.timers.arm(timer_, 0);
    }
  }

 private:
  struct Seen {
    threads::ThreadRef thread;
    sched::Time ran = 0;    ///< before, then meanwhile
    sched::Time since = 0;  ///< when its CPU said so
    std::uint64_t ppm = 0;  ///< of its CPU, since then
  };
  static constexpr std::size_t kAnswerBytes = std::size_t{48} * 1024;

  void fire() {
    if (caller_ != nullptr) {
      answer();
    }
    delete this;
  }

  void answer() {
    const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[kAnswerBytes]);
    if (memory == nullptr) {
      return caller_->fail(refuse(error::kBusy, "", "no memory for the answer").error());
    }
    for (std::size_t i = 0; i < count_; ++i) {
      // Each by the clock of its own two answers: asking a busy CPU may take longer than what is measured.
      const threads::ThreadReport report = threads::report(*seen_[i].thread);
      seen_[i].ran = report.ran - seen_[i].ran;
      const auto interval = static_cast<std::uint64_t>(std::max<sched::Time>(report.at - seen_[i].since, 1));
      seen_[i].ppm = static_cast<std::uint64_t>(seen_[i].ran) * 1'000'000 / interval;
    }
    const std::uint64_t interval_ns = services_.clock.now_ns() - begin_ns_;
    // Most first; insertion, as std::stable_sort would allocate.
    for (std::size_t i = 1; i < count_; ++i) {
      for (std::size_t j = i; j > 0 && seen_[j - 1].ran < seen_[j].ran; --j) {
        std::swap(seen_[j - 1], seen_[j]);
      }
    }
    CborWriter writer({memory.get(), kAnswerBytes});
    ResultMap result(writer);
    result.add("interval_ns", interval_ns);
    add_cpus(result);
    add_threads(result);
    result.finish();
    if (writer.overflowed()) {
      return caller_->fail(refuse(error::kTooLarge, "", "the answer is longer than {} bytes", kAnswerBytes).error());
    }
    caller_->complete(writer.written());
  }

  /// What the threads left over is the CPU's idle time, and that of threads which came or went meanwhile.
  void add_cpus(ResultMap& result) const {
    CborWriter& writer = result.key_for("cpus");
    const std::size_t token = writer.begin_array();
    std::size_t shown = 0;
    for (std::uint32_t cpu = 0; cpu < kernel::kMaxCpus; ++cpu) {
      if (threads::find_dispatcher(cpu) == nullptr) {
        continue;
      }
      std::uint64_t busy_ppm = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        busy_ppm += seen_[i].thread->cpu() == cpu ? seen_[i].ppm : 0;
      }
      ResultMap entry(writer);
      entry.add("cpu", cpu);
      entry.add("busy_permille", busy_ppm / kPermille);
      entry.finish();
      ++shown;
    }
    writer.end(token, shown);
  }

  void add_threads(ResultMap& result) const {
    CborWriter& writer = result.key_for("threads");
    writer.array(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      const auto ran = static_cast<std::uint64_t>(seen_[i].ran);
      ResultMap entry(writer);
      add_thread(entry, *seen_[i].thread);
      entry.add("ran_ns", ran);
      entry.add("permille", seen_[i].ppm / kPermille);
      entry.finish();
    }
  }

  Services& services_;
  Caller* caller_;
  std::uint64_t begin_ns_ = 0;
  std::array<Seen, kMaxShown> seen_;
  std::size_t count_ = 0;
  kernel::WorkItem item_{[](void* self) { static_cast<Top*>(self)->fire(); }, this};
  kernel::Timer timer_{item_};
};

}  // namespace

HandlerResult handle_top(Services& services, const Arguments& arguments, Caller& caller, ResultMap&) {
  auto* const top = new (std::nothrow) Top(services, caller);
  if (top == nullptr) {
    return refuse(error::kBusy, "", "no memory to look at the threads");
  }
  caller.defer(*top);
  top->start(arguments.number("ms", kPermille) * 1'000'000);
  return Handled::Later;
}

}  // namespace guest::control
