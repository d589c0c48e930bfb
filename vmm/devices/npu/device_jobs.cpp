// The job queue.
#include <algorithm>
#include <limits>

#include "vmm/devices/npu/device.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Command;
using abi::npu::JobHeader;
using abi::npu::JobResult;
using abi::npu::kJobQueue;
using abi::npu::Reason;
using abi::npu::Status;

/// Jobs that are taken before others of the loop get their turn. Commands count, too: checking them takes the time.
constexpr unsigned kJobsPerTurn = 32;

std::unexpected<Outcome> refusal(Status status, Reason reason) {
  return std::unexpected(Outcome{.status = status, .reason = reason});
}

}  // namespace

/// Takes jobs. True if there is more to do than one turn allows.
bool NpuDevice::serve_jobs() {
  virtio::Virtqueue* const jobs = queue(kJobQueue);
  if (jobs == nullptr) return false;
  jobs->disable_kicks();
  commands_read_ = 0;
  packing_budget_ = regions_.packed().limits().per_turn;
  for (unsigned count = 0; count < kJobsPerTurn; ++count) {
    // When jobs end, serve() comes back.
    if (draining() || tickets_.size() >= config_.limits.jobs) break;
    if (commands_read_ >= config_.limits.job.max_commands) {
      publish(kJobQueue);
      return true;
    }
    const auto popped = jobs->pop(current_.chain);
    if (!popped) {
      broken(kJobQueue, popped.error().message());
      return false;
    }
    if (!*popped) {
      publish(kJobQueue);
      if (!jobs->enable_kicks()) return false;
      jobs->disable_kicks();
      continue;
    }
    if (take_job(*jobs) == Taken::NoRoom || broken_) break;
    if (count == kJobsPerTurn - 1) {
      publish(kJobQueue);
      return true;
    }
  }
  publish(kJobQueue);
  return false;
}

NpuDevice::Taken NpuDevice::take_job(virtio::Virtqueue& jobs) {
  const virtio::DescriptorChain& chain = current_.chain;
  if (chain.writer().available() < sizeof(JobResult)) {
    broken(kJobQueue, "a job has room for a result of " + std::to_string(chain.writer().available()) + " bytes, not " +
                          std::to_string(sizeof(JobResult)));
    return Taken::Yes;
  }
  virtio::Reader reader = chain.reader();
  const auto header = reader.read<JobHeader>();
  if (!header) {
    refuse(jobs, chain, 0, {.status = Status::Parse, .reason = Reason::ShortBuffer});
    return Taken::Yes;
  }
  const std::uint32_t count = header->commands;
  // A number that is refused all the same needs no room.
  if (count <= config_.limits.job.max_commands && !tickets_.empty() &&
      count > config_.limits.commands_in_flight - std::min(commands_in_flight_, config_.limits.commands_in_flight)) {
    jobs.undo_pop();
    return Taken::NoRoom;
  }
  auto job = read_job(*header, reader);
  if (!job) {
    refuse(jobs, chain, header->id, job.error());
    return Taken::Yes;
  }
  regions_.hold((*job)->regions);
  pack_weights(**job);
  commands_in_flight_ += count;
  current_.memory = memory_;
  tickets_.emplace(engine_->arrived() + 1,
                   JobTicket{.request = std::exchange(current_, {}), .id = header->id, .commands = count});
  engine_->submit(std::move(*job));
  return Taken::Yes;
}

std::expected<std::unique_ptr<Job>, Outcome> NpuDevice::read_job(const JobHeader& header, virtio::Reader& reader) {
  if (power_ == abi::npu::Power::Off) return refusal(Status::Reset, Reason::PowerOff);
  if (const auto fine = ::npu::check_job_header(header, config_.limits.job); !fine) {
    return std::unexpected(outcome_of(fine.error()));
  }
  if (header.commands > reader.available() / sizeof(Command)) return refusal(Status::Parse, Reason::ShortBuffer);
  const std::uint64_t id = header.id;
  if (std::ranges::any_of(tickets_, [id](const auto& entry) { return entry.second.id == id; })) {
    return refusal(Status::Parse, Reason::DuplicateJob);
  }
  commands_.resize(header.commands);
  commands_read_ += header.commands;
  reader.read(std::as_writable_bytes(std::span(commands_)));
  return make_job(header, commands_, config_.commands, regions_, config_.model, config_.limits);
}

/// Gives the job's commands their weights as the kernels want them, where they do not change.
void NpuDevice::pack_weights(Job& job) {
  const ::npu::Packing& packing = config_.commands.kernels->packing;
  for (::npu::Checked& command : job.commands) {
    auto copy = regions_.pack(command, packing, packing_budget_);
    if (copy == nullptr) continue;
    command.packed_weights = copy->data();
    job.packed.push_back(std::move(copy));
  }
}

void NpuDevice::refuse(virtio::Virtqueue& jobs, const virtio::DescriptorChain& chain, std::uint64_t id,
                       const Outcome& outcome) {
  Job job;
  job.id = id;
  job.outcome = outcome;
  job.arrived_ns = job.finished_ns = config_.clock->now_ns();
  const JobResult result = result_of(job);
  virtio::Writer writer = chain.writer();
  writer.write(std::as_bytes(std::span(&result, 1)));
  engine_->refuse(outcome.status);
  jobs.push(chain.head(), static_cast<std::uint32_t>(writer.consumed()));
}

/// Tells the driver which jobs have ended. True if there were some.
bool NpuDevice::deliver() {
  if (active_.queues.empty()) return false;  // kept until there is a queue
  const auto finished = engine_->take_finished();
  for (const auto& job : finished) {
    const auto ticket = tickets_.extract(job->number);
    regions_.release(job->regions);
    commands_in_flight_ -= ticket.mapped().commands;
    virtio::Virtqueue* const jobs = queue(kJobQueue);
    if (jobs == nullptr) continue;  // a broken driver learns nothing
    const JobResult result = result_of(*job);
    virtio::Writer writer = ticket.mapped().request.chain.writer();
    writer.write(std::as_bytes(std::span(&result, 1)));
    jobs->push(ticket.mapped().request.chain.head(), static_cast<std::uint32_t>(writer.consumed()));
  }
  publish(kJobQueue);
  return !finished.empty();
}

}  // namespace vmm::npu
