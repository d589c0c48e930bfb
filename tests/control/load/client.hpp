// One client of the load: it goes through one session after the other, each on a connection of its own.
//
//   Connecting --"OK port"--> Moving --all moves answered--> Ending --end of stream--> the next session
//                                 |                                                       ^
//                                 +---- Abandon: some bytes of the last move are out -----+
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "figures.hpp"
#include "session.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/base/unique_fd.hpp"

namespace load {

/// What all clients share.
struct Setting {
  std::string socket_path;
  vmm::control::Key key;
  std::uint64_t requests;  ///< no session begins when so many have been answered
};

/// Belongs to the thread of its event loop.
class Client {
 public:
  using Clock = std::chrono::steady_clock;

  Client(vmm::EventLoop& loop, const Setting& setting, Figures& figures, unsigned number, std::uint64_t seed);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Begins a session, unless enough is done.
  void begin();
  /// No session is under way, and none will begin.
  [[nodiscard]] bool done() const { return phase_ == Phase::Idle; }
  /// Fails if nothing has happened for `limit`.
  void check_progress(Clock::duration limit);

 private:
  enum class Phase : std::uint8_t { Idle, Connecting, Moving, Ending };
  struct Waiting {
    Request request;
    Clock::time_point sent;
  };

  void on_events(vmm::Events events);
  void read();
  void on_bytes(std::span<const std::uint8_t> bytes);
  void on_end();
  void on_frame(const vmm::control::Frame& frame);
  void flush();
  void update_interest();
  void next_move();
  void abandon(const Move& move);
  void end_sending();
  void close();
  void fail(const std::string& what);

  vmm::EventLoop& loop_;
  const Setting& setting_;
  Figures& figures_;
  unsigned number_;
  SessionMaker maker_;

  Phase phase_ = Phase::Idle;
  vmm::UniqueFd fd_;
  Session session_;
  std::size_t move_ = 0;  ///< the next one
  std::string line_;      ///< Connecting: of the answer to CONNECT, so far
  Bytes output_;          ///< not yet taken by the socket
  bool reading_ = true;   ///< false: a move's `unread` is under way
  bool end_when_sent_ = false;
  vmm::control::FrameReader reader_;
  /// Sent and not answered. Several requests may share id 0.
  std::multimap<std::uint32_t, Waiting> waiting_;
  vmm::EventLoop::TimerId timer_ = 0;
  Clock::time_point last_progress_;
};

}  // namespace load
