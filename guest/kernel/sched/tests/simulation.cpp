#include "simulation.hpp"

#include <algorithm>
#include <deque>
#include <stdexcept>

#include "guest/kernel/sched/cpu_scheduler.hpp"

namespace guest::sched::testing {
namespace {

/// A server with its only task, and the jobs that it has to do.
struct Client {
  Client(std::uint32_t id, const ServerSpec& spec, const std::vector<Job>& work)
      : server(id, {.budget = spec.budget,
                    .period = spec.period,
                    .deadline = spec.deadline,
                    .depletion = spec.soft ? Depletion::Soft : Depletion::Hard,
                    .reclaim = spec.reclaim}),
        task(&server),
        jobs(work),
        finishes(work.size(), kUnfinished) {}

  Server server;
  Task task;
  const std::vector<Job>& jobs;
  std::vector<Time> finishes;
  std::size_t released = 0;
  std::size_t done = 0;
  Time job_ran = 0;  ///< for the job after `done`
};

class Simulation {
 public:
  explicit Simulation(const Workload& workload)
      : cpu_(static_cast<Ppm>(workload.bound_ppm)), horizon_(workload.horizon) {
    for (std::size_t i = 0; i < workload.servers.size(); ++i) {
      clients_.emplace_back(static_cast<std::uint32_t>(i), workload.servers[i], workload.jobs[i]);
      if (cpu_.admit(clients_.back().server).verdict != Verdict::Admitted) {
        throw std::invalid_argument("a server of the workload does not fit");
      }
    }
  }

  Schedule run() {
    while (now_ < horizon_) {
      for (Client& client : clients_) release(client);
      end_job();
      cpu_.choose(now_);
      advance();
    }
    for (const Client& client : clients_) {
      schedule_.finishes.push_back(client.finishes);
      schedule_.throttles.push_back(client.server.counters().throttles);
    }
    return schedule_;
  }

 private:
  Client* running() {
    const Task* const task = cpu_.running();
    return task == nullptr ? nullptr : &clients_[task->server()->id()];
  }

  void end_job() {
    Client* const client = running();
    if (client == nullptr || client->job_ran < client->jobs[client->done].demand) {
      return;
    }
    client->finishes[client->done++] = now_;
    client->job_ran = 0;
    if (client->done == client->released) {
      cpu_.block(client->task, now_);
    }
  }

  void release(Client& client) {
    while (client.released < client.jobs.size() && client.jobs[client.released].release <= now_) {
      ++client.released;
      cpu_.wake(client.task, now_);
    }
  }

  void advance() {
    Client* const client = running();
    Time next = std::min(horizon_, cpu_.next_event());
    for (const Client& other : clients_) {
      if (other.released < other.jobs.size()) next = std::min(next, other.jobs[other.released].release);
    }
    if (client != nullptr) {
      next = std::min(next, now_ + client->jobs[client->done].demand - client->job_ran);
      client->job_ran += next - now_;
    }
    const int id = client == nullptr ? kIdle : static_cast<int>(client->server.id());
    if (!schedule_.slices.empty() && schedule_.slices.back().server == id) {
      schedule_.slices.back().end = next;
    } else {
      schedule_.slices.push_back({.server = id, .begin = now_, .end = next});
    }
    now_ = next;
  }

  CpuScheduler cpu_;
  std::deque<Client> clients_;
  Time horizon_;
  Time now_ = 0;
  Schedule schedule_;
};

}  // namespace

Schedule simulate(const Workload& workload) { return Simulation(workload).run(); }

}  // namespace guest::sched::testing
