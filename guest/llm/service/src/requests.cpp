// What owners do with their requests.
#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/kernel/threads/dispatcher.hpp"
#include "guest/kernel/trace.hpp"
#include "guest/llm/service/service.hpp"
#include "state.hpp"

namespace guest::llm {

using kernel::NamedError;
using kernel::Outcome;
using threads::MutexGuard;
using threads::WaitResult;

namespace {

/// The text that waits for the rest of a stop word, as chunks.
class HeldText final : public kernel::TextOutput {
 public:
  explicit HeldText(ChunkRing& chunks) : chunks_(chunks) {}
  void write(std::string_view text) override {
    if (!text.empty()) {
      count_ += chunks_.add(Chunk::kNoToken, text);
    }
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  ChunkRing& chunks_;
  std::uint32_t count_ = 0;
};

RequestStatus status_of(const RequestSlot& slot) {
  RequestStatus status = slot.status;
  status.chunks = slot.chunks.next();
  status.read = slot.chunks.first();
  status.finished = status.state == RequestState::Finished;
  status.drained = status.read == status.chunks;
  return status;
}

}  // namespace

RequestSlot* Service::find_request(OwnerId owner, RequestId id) {
  const auto found = std::ranges::find_if(all_requests(), [=](const RequestSlot& slot) {
    return id != 0 && slot.status.id == id && slot.status.caller.owner == owner && !slot.released;
  });
  return found == all_requests().end() ? nullptr : &*found;
}

std::expected<RequestSlot*, NamedError> Service::require_request(OwnerId owner, RequestId id) {
  RequestSlot* const slot = find_request(owner, id);
  if (slot == nullptr) {
    return kernel::fail("llm-no-request", "no request {}: released, evicted, or somebody else's", id);
  }
  return slot;
}

std::expected<RequestStatus, NamedError> Service::poll(OwnerId owner, RequestId id) {
  const MutexGuard guard(mutex_);
  const auto slot = require_request(owner, id);
  if (!slot) {
    return std::unexpected(slot.error());
  }
  (*slot)->end_is_known = (*slot)->status.state == RequestState::Finished;
  return status_of(**slot);
}

std::expected<std::size_t, NamedError> Service::read(OwnerId owner, RequestId id, std::uint64_t from,
                                                     std::span<Chunk> out) {
  const MutexGuard guard(mutex_);
  const auto slot = require_request(owner, id);
  if (!slot) {
    return std::unexpected(slot.error());
  }
  ChunkRing& chunks = (*slot)->chunks;
  if (from < chunks.first() || from > chunks.next()) {
    return kernel::fail("llm-bad-chunk", "chunk {} of request {}, expected {} to {}", from, id, chunks.first(),
                        chunks.next());
  }
  forget_chunks(**slot, from);
  return chunks.copy(out);
}

/// `from` is at most the next chunk's number.
void Service::forget_chunks(RequestSlot& slot, std::uint64_t from) {
  if (from > slot.chunks.first()) {
    slot.chunks.forget_before(from);
    work_.notify_one();
  }
}

std::expected<WaitResult, NamedError> Service::wait(OwnerId owner, RequestId id, std::uint64_t from,
                                                    std::uint64_t until_ns) {
  const MutexGuard guard(mutex_);
  for (;;) {
    // Anew each time: it may be gone meanwhile.
    const auto slot = require_request(owner, id);
    if (!slot) {
      return std::unexpected(slot.error());
    }
    // Who waits for this one has those before it. Kept, they could be what it waits for.
    forget_chunks(**slot, std::min(from, (*slot)->chunks.next()));
    if (from < (*slot)->chunks.next() || (*slot)->status.state == RequestState::Finished) {
      return WaitResult::Signalled;
    }
    if (const WaitResult result = progress_.wait(mutex_, until_ns); result != WaitResult::Signalled) {
      return result;
    }
  }
}

RequestId Service::latest(OwnerId owner) {
  const MutexGuard guard(mutex_);
  RequestId last = 0;
  for (const RequestSlot& slot : all_requests()) {
    if (slot.status.caller.owner == owner && !slot.released) {
      last = std::max(last, slot.status.id);
    }
  }
  return last;
}

std::size_t Service::list(OwnerId owner, std::span<RequestStatus> out) {
  const MutexGuard guard(mutex_);
  std::size_t count = 0;
  RequestId last = 0;
  for (;;) {
    // The next older one: places are taken in any order.
    const RequestSlot* next = nullptr;
    for (const RequestSlot& slot : all_requests()) {
      if (slot.status.id > last && !slot.released && (owner == 0 || slot.status.caller.owner == owner) &&
          (next == nullptr || slot.status.id < next->status.id)) {
        next = &slot;
      }
    }
    if (next == nullptr) {
      return count;
    }
    last = next->status.id;
    if (count < out.size()) {
      out[count] = status_of(*next);
    }
    ++count;
  }
}

// ---- Ends

void Service::cancel_slot(RequestSlot& slot) {
  if (slot.status.state == RequestState::Queued) {
    end_request(slot, StopReason::Cancelled);
    return;
  }
  // The job of a turn that runs is not aborted: to ask a device for that takes a round trip, and others would wait for
  // the lock meanwhile. A step is not that long.
  slot.cancelled = true;
  work_.notify_one();
}

Outcome Service::cancel(const Caller& caller, RequestId id) {
  const MutexGuard guard(mutex_);
  const auto slot = require_request(caller.owner, id);
  if (!slot) {
    return std::unexpected(slot.error());
  }
  if ((*slot)->status.state != RequestState::Finished) {
    audit_request(**slot, AuditOperation::Cancel);
    cancel_slot(**slot);
  }
  return {};
}

Outcome Service::release(const Caller& caller, RequestId id) {
  const MutexGuard guard(mutex_);
  const auto slot = require_request(caller.owner, id);
  if (!slot) {
    return std::unexpected(slot.error());
  }
  release_slot(**slot);
  return {};
}

void Service::release_slot(RequestSlot& slot) {
  slot.released = true;
  if (slot.status.state == RequestState::Finished) {
    free_request(slot);
  } else {
    cancel_slot(slot);
  }
  progress_.notify_all();
}

void Service::close(const Caller& caller) {
  const MutexGuard guard(mutex_);
  for (RequestSlot& slot : all_requests()) {
    if (slot.status.id != 0 && slot.status.caller.owner == caller.owner && !slot.released) {
      release_slot(slot);
    }
  }
  for (SessionSlot& session : all_sessions()) {
    if (session.state == SessionSlot::State::Open && session.owner == caller.owner) {
      end_session(session);
    }
  }
  audit_.record({.operation = AuditOperation::Close,
                 .caller = caller,
                 .decision = "ok",
                 .status = AuditEntry::kOk,
                 .at_ns = service_now_ns()});
}

void Service::end_request(RequestSlot& slot, StopReason reason) {
  const std::uint64_t now = service_now_ns();
  RequestStatus& status = slot.status;
  HeldText held(slot.chunks);
  slot.stop_words.finish(held);
  totals_.stream_chunks += held.count();
  status.state = RequestState::Finished;
  status.stop = reason;
  status.finished_ns = now;
  budget_.give_back(now, slot.budget_end, status.max_tokens - status.tokens);
  class_budgets_[status.caller.client_class].give_back(now, slot.budget_end, status.max_tokens - status.tokens);
  leave_session(slot);
  --slot.model->users;
  slot.model = nullptr;
  slot.unread.reset();
  slot.prompt.reset();
  slot.constraint.reset();
  ++totals_.finished;
  totals_.cancelled += reason == StopReason::Cancelled ? 1 : 0;
  totals_.failed += reason == StopReason::Failed ? 1 : 0;
  totals_.rejects += reason == StopReason::Refused ? 1 : 0;
  totals_.deadline_misses += reason == StopReason::Deadline ? 1 : 0;
  timings_.infer.record(now - status.submitted_ns);
  audit_request(slot, AuditOperation::End);
  kernel::trace().record(kernel::TraceType::LlmEnd, static_cast<std::uint32_t>(reason), status.id, status.tokens);
  if (slot.released) {
    free_request(slot);
  }
  progress_.notify_all();
  work_.notify_one();
  say_changed();
}

/// The memory of its sequence is the worker's to free.
void Service::free_request(RequestSlot& slot) {
  kernel::require(slot.status.state == RequestState::Finished, "a request is forgotten before it has ended");
  slot.status = {};
  slot.chunks = {};
  slot.stop_words = {};
  slot.sampler.reset();
}

namespace {

std::string_view decision_of(const RequestStatus& status, AuditOperation operation) {
  if (operation != AuditOperation::End) {
    return "ok";
  }
  return has_error(status.stop) ? status.error.name : to_string(status.stop);
}

}  // namespace

void Service::audit_request(const RequestSlot& slot, AuditOperation operation) {
  const RequestStatus& status = slot.status;
  const bool ends = operation == AuditOperation::End;
  const std::uint64_t now = service_now_ns();
  std::uint8_t bits = AuditEntry::kOk;
  if (ends && status.stop == StopReason::Deadline) {
    bits = AuditEntry::kDeadlineMiss;
  } else if (ends && status.stop == StopReason::Refused) {
    bits = AuditEntry::kReject;
  } else if (ends && status.stop == StopReason::Failed) {
    bits = 0;
  }
  audit_.record({.operation = operation,
                 .caller = status.caller,
                 .request = status.id,
                 .model = status.model.view(),
                 .prompt_bytes = status.prompt_bytes,
                 .prompt_sha256 = slot.prompt_sha256,
                 .tokens = ends ? status.tokens : status.max_tokens,
                 .decision = decision_of(status, operation),
                 .status = bits,
                 .at_ns = now,
                 .submitted_ns = status.submitted_ns,
                 .began_ns = status.started_ns,
                 .ended_ns = status.finished_ns});
}

}  // namespace guest::llm
