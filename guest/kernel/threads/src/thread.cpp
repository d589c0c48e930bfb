#include "guest/kernel/threads/thread.hpp"

#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/threads/threads.hpp"
#include "reaper.hpp"

namespace guest::threads {

std::string_view to_string(ThreadState state) {
  switch (state) {
    case ThreadState::Ready:
      return "ready";
    case ThreadState::Blocked:
      return "blocked";
    case ThreadState::Exited:
      return "exited";
  }
  return "unknown";
}

Thread::Thread(const ThreadOptions& options, Function function, void* argument)
    : Task(options.server),
      cpu_(options.cpu),
      timeout_(Dispatcher::on_timeout, this),
      gone_item_(options.gone),
      function_(function),
      argument_(argument) {
  name_.write(options.name);
}

void Thread::request_stop() {
  stop_.store(true, std::memory_order_relaxed);
  Waking waking;
  waking.unpark(*this);
}

ThreadRef::ThreadRef(Thread& thread) : thread_(&thread) {
  thread.references_.fetch_add(1, std::memory_order_relaxed);  // whoever makes one holds one, or a lock
}
ThreadRef::ThreadRef(const ThreadRef& other) : thread_(other.thread_) {
  if (thread_ != nullptr) {
    thread_->references_.fetch_add(1, std::memory_order_relaxed);
  }
}
ThreadRef::~ThreadRef() {
  if (thread_ != nullptr) {
    drop_reference(*thread_);
  }
}

/// The first thing that a thread does.
void Dispatcher::thread_entry() {
  Dispatcher& here = *find_dispatcher();
  here.finish_switch();
  kernel::enable_interrupts();
  Thread& thread = here.current();
  thread.function_(thread.argument_);
  here.exit_current();
}

}  // namespace guest::threads
