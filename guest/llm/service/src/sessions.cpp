// Sequences that stay between requests.
#include <algorithm>

#include "guest/kernel/panic.hpp"
#include "guest/llm/service/service.hpp"
#include "submission.hpp"

namespace guest::llm {

using kernel::NamedError;
using kernel::Outcome;
using threads::MutexGuard;

namespace {

/// Of the keys and values of a whole context, in f32.
std::uint64_t sequence_bytes(const Shape& shape) {
  return std::uint64_t{2} * shape.layers * shape.context * shape.key_elements() * sizeof(std::uint32_t);
}

bool is_idle(const SessionSlot& session) { return session.state == SessionSlot::State::Open && session.request == 0; }

}  // namespace

SessionSlot* Service::find_session(OwnerId owner, SessionId id) {
  const auto found = std::ranges::find_if(all_sessions(), [=](const SessionSlot& session) {
    return session.state == SessionSlot::State::Open && session.id == id && session.owner == owner &&
           !session.close_when_idle;
  });
  return found == all_sessions().end() ? nullptr : &*found;
}

std::expected<SessionSlot*, NamedError> Service::require_idle_session(OwnerId owner, SessionId id) {
  SessionSlot* const session = find_session(owner, id);
  if (session == nullptr) {
    return kernel::fail("llm-no-session", "no session {}: closed, evicted, or somebody else's", id);
  }
  if (session->request != 0) {
    return kernel::fail("llm-session-busy", "request {} of session {} has not finished", session->request, id);
  }
  return session;
}

std::expected<SessionSlot*, NamedError> Service::require_session(const Submission& submission) {
  const auto session = require_idle_session(submission.caller.owner, submission.options.session);
  if (session && (*session)->model != submission.model) {
    return kernel::fail("llm-bad-session", "session {} is of model \"{}\"", submission.options.session,
                        (*session)->model->id.view());
  }
  return session;
}

std::uint32_t Service::sessions_of(const LoadedModel& model) {
  return static_cast<std::uint32_t>(std::ranges::count_if(all_sessions(), [&](const SessionSlot& session) {
    return session.state == SessionSlot::State::Open && session.model == &model;
  }));
}

/// Room for one more is made only where there can be enough of it: no session ends for nothing.
std::expected<SessionSlot*, NamedError> Service::make_session(const Submission& submission) {
  const std::uint64_t bytes = sequence_bytes(submission.model->model->shape());
  std::uint32_t busy = 0;
  std::uint64_t busy_bytes = 0;
  for (const SessionSlot& session : all_sessions()) {
    if (session.state == SessionSlot::State::Open && !is_idle(session)) {
      ++busy;
      busy_bytes += session.bytes;
    }
  }
  if (busy >= options_.sessions) {
    return kernel::fail("llm-too-many-sessions", "{} sessions are in use, expected fewer than {}", busy,
                        options_.sessions);
  }
  if (bytes > options_.session_bytes || busy_bytes > options_.session_bytes - bytes) {
    return kernel::fail("llm-session-memory", "a session of {} bytes, but {} of {} are in use", bytes, busy_bytes,
                        options_.session_bytes);
  }
  while (open_sessions() >= options_.sessions || open_session_bytes() > options_.session_bytes - bytes) {
    kernel::require(evict_session(), "there is no idle session, though there was");
  }
  const auto place = std::ranges::find(all_sessions(), SessionSlot::State::Free, &SessionSlot::state);
  if (place == all_sessions().end()) {
    return kernel::fail("llm-too-many-sessions", "{} sessions are being closed", options_.sessions);
  }
  *place = SessionSlot{.state = SessionSlot::State::Open,
                       .id = ++last_session_,
                       .owner = submission.caller.owner,
                       .model = submission.model,
                       .bytes = bytes,
                       .last_used = turns_,
                       .sequence = {},
                       .tail = {}};
  return &*place;
}

std::uint32_t Service::open_sessions() {
  return static_cast<std::uint32_t>(std::ranges::count(all_sessions(), SessionSlot::State::Open, &SessionSlot::state));
}

std::uint64_t Service::open_session_bytes() {
  std::uint64_t bytes = 0;
  for (const SessionSlot& session : all_sessions()) {
    bytes += session.state == SessionSlot::State::Open ? session.bytes : 0;
  }
  return bytes;
}

/// The idle one that was used longest ago. False: there is none.
bool Service::evict_session() {
  SessionSlot* oldest = nullptr;
  for (SessionSlot& session : all_sessions()) {
    if (is_idle(session) && (oldest == nullptr || session.last_used < oldest->last_used ||
                             (session.last_used == oldest->last_used && session.id < oldest->id))) {
      oldest = &session;
    }
  }
  if (oldest == nullptr) {
    return false;
  }
  end_session(*oldest);
  ++totals_.evicted_sessions;
  return true;
}

/// Now, or when its request has ended.
void Service::end_session(SessionSlot& session) {
  if (session.request != 0) {
    session.close_when_idle = true;
    return;
  }
  session.state = SessionSlot::State::Closing;
  session.model = nullptr;
  work_.notify_one();
}

void Service::enter_session(RequestSlot& slot, SessionSlot& session) {
  slot.session = &session;
  slot.status.session = session.id;
  slot.status.session_tokens = session.tokens();
  slot.sequence_before = session.sequence == nullptr ? 0 : session.sequence->size();
  session.request = slot.status.id;
}

/// A request that has said nothing leaves its session as it was.
void Service::leave_session(RequestSlot& slot) {
  if (slot.session == nullptr) {
    return;
  }
  SessionSlot& session = *slot.session;
  if (slot.said_something) {
    session.tail = slot.last;
  } else if (session.sequence != nullptr) {
    session.sequence->truncate(std::min(session.sequence->size(), slot.sequence_before));
  }
  session.request = 0;
  session.last_used = ++turns_;
  slot.session = nullptr;
  if (session.close_when_idle || session.tokens() == 0) {
    end_session(session);
  }
}

Outcome Service::close_session(OwnerId owner, SessionId id) {
  const MutexGuard guard(mutex_);
  const auto session = require_idle_session(owner, id);
  if (!session) {
    return std::unexpected(session.error());
  }
  end_session(**session);
  return {};
}

}  // namespace guest::llm
