// The device's side of the engine: jobs in, jobs out. engine_thread.cpp has the other.
#include "vmm/devices/npu/engine.hpp"

#include <algorithm>

#include "worker_pool.hpp"

namespace vmm::npu {

using abi::npu::Reason;
using abi::npu::Status;

Result<std::unique_ptr<Engine>> Engine::create(const EngineConfig& config) {
  auto news = Notifier::create();
  if (!news) return std::unexpected(std::move(news.error()).because_of("cannot start the NPU"));
  return std::unique_ptr<Engine>(new Engine(config, std::move(*news)));
}

Engine::Engine(const EngineConfig& config, Notifier news)
    : config_(config),
      news_(std::move(news)),
      pool_(std::make_unique<WorkerPool>(config.options.threads - 1, config.thread_start)) {
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    interrupt_ = true;
    work_.notify_one();
  }
  thread_.join();
}

void Engine::submit(std::unique_ptr<Job> job) {
  const std::lock_guard lock(mutex_);
  job->number = ++arrived_;
  job->arrived_ns = config_.clock->now_ns();
  jobs_[static_cast<std::size_t>(job->priority)].push_back(std::move(job));
  Counters& counters = *config_.counters;
  ++counters.jobs_submitted;
  ++counters.jobs_in_flight;
  counters.jobs_in_flight_peak.raise_to(counters.jobs_in_flight);
  work_.notify_one();
}

void Engine::refuse(Status status) {
  const std::lock_guard lock(mutex_);
  ++arrived_;
  ++config_.counters->jobs_submitted;
  ++(config_.counters->*kJobsByStatus[static_cast<std::size_t>(status)]);
}

std::vector<std::unique_ptr<Job>> Engine::take_finished() {
  news_.drain();
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

bool Engine::abort(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (auto& queue : jobs_) {
    const auto found = std::ranges::find_if(queue, [id](const auto& job) { return job->id == id; });
    if (found == queue.end()) continue;
    Job& job = **found;
    const Outcome outcome = ended_at(job, Status::Aborted, Reason::AbortRequest);
    if (&job == running_) {
      stop_running(outcome);
    } else {
      finish(job, outcome);
    }
    return true;
  }
  return false;
}

void Engine::abort_all(Status status, Reason reason) {
  const std::lock_guard lock(mutex_);
  for (auto& queue : jobs_) {
    // A copy: finish() takes them out of the queue.
    std::vector<Job*> jobs;
    for (const auto& job : queue) jobs.push_back(job.get());
    for (Job* job : jobs) {
      if (job != running_) finish(*job, ended_at(*job, status, reason));
    }
  }
  if (running_ != nullptr) stop_running(ended_at(*running_, status, reason));
}

void Engine::discard(Status status, Reason reason) {
  abort_all(status, reason);
  std::unique_lock lock(mutex_);
  quiet_.wait(lock, [this] { return running_ == nullptr; });
  finished_.clear();
}

void Engine::pause() {
  std::unique_lock lock(mutex_);
  paused_ = true;
  interrupt_ = true;
  quiet_.wait(lock, [this] { return running_ == nullptr; });
}

void Engine::resume() {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  work_.notify_one();
}

void Engine::set_gated(bool gated) {
  const std::lock_guard lock(mutex_);
  gated_ = gated;
  work_.notify_one();
}

std::uint64_t Engine::idle_ns() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t now = config_.clock->now_ns();
  const std::uint64_t total = config_.counters->idle_ns;
  return idle_since_ns_ < now ? total + (now - idle_since_ns_) : total;
}

Outcome Engine::ended_at(const Job& job, Status status, Reason reason) {
  Outcome outcome{.status = status, .reason = reason};
  if (job.next_command < job.commands.size()) {
    outcome.command = static_cast<std::uint32_t>(job.next_command);
    outcome.stream_offset = static_cast<std::uint32_t>(job.next_command * sizeof(abi::npu::Command));
  }
  return outcome;
}

void Engine::stop_running(const Outcome& outcome) {
  stop_ = outcome;
  interrupt_ = true;
}

/// Takes the job out of its queue.
void Engine::finish(Job& job, const Outcome& outcome) {
  job.outcome = outcome;
  job.finished_ns = config_.clock->now_ns();
  if (last_ == &job) last_ = nullptr;
  if (busy_ == &job) busy_ = nullptr;
  auto& queue = jobs_[static_cast<std::size_t>(job.priority)];
  const auto place = std::ranges::find(queue, &job, &std::unique_ptr<Job>::get);
  finished_.push_back(std::move(*place));
  queue.erase(place);
  Counters& counters = *config_.counters;
  --counters.jobs_in_flight;
  ++(counters.*kJobsByStatus[static_cast<std::size_t>(outcome.status)]);
  news_.signal();
  work_.notify_one();
}

}  // namespace vmm::npu
