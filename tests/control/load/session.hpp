// What a client of the load does: a session is one connection, made of moves; a move is requests that are sent
// together.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/control/client.hpp"
#include "vmm/control/frame.hpp"

namespace load {

using nlohmann::json;
using Random = std::mt19937_64;
using Bytes = std::vector<std::uint8_t>;

/// Says what is wrong with an answer, or nothing.
using Check = std::function<std::optional<std::string>(const vmm::control::Frame&)>;

/// Bytes for the guest, and the one answer that they must have.
struct Request {
  std::string_view kind;  ///< for the figures; has static storage
  std::uint32_t id = 0;   ///< that the answer carries; 0 where the guest cannot read one
  Bytes bytes;
  Check check;
  bool watches = false;  ///< Event frames with its id may come before the answer
};

struct Move {
  std::vector<Request> requests;
  std::chrono::milliseconds unread{0};  ///< nothing is read for so long
};

/// How a session ends when all moves are answered.
enum class End : std::uint8_t {
  HalfClose,  ///< the client ends its sending side, reads to the end: nothing more may come
  Abandon,    ///< the last move is cut off somewhere and nothing of it is read; its requests are not counted
  ByGuest,    ///< the guest must end the stream
};

struct Session {
  std::vector<Move> moves;
  End end = End::HalfClose;
  bool end_with_last = false;  ///< HalfClose: at once behind the last move's requests, which are answered all the same
};

/// Makes sessions at random.
class SessionMaker {
 public:
  /// @param number of the client, from 0; those below kGraphMakers have a graph of their own
  SessionMaker(const vmm::control::Key& key, unsigned number, std::uint64_t seed)
      : key_(key), number_(number), random_(seed) {}

  Session make();
  [[nodiscard]] Random& random() { return random_; }

  /// The guest has room for 8 graphs, so that so many clients are never refused one.
  static constexpr unsigned kGraphMakers = 6;

 private:
  // sessions.cpp: what is right
  Session pings();
  Session pipelined_pings();
  Session observations();
  Session graph_life();
  Session sleeps();
  Session watches();
  Session shell_lines();
  Session slow_reader();
  Session ends_early();
  // misuse.cpp: what is not
  Session without_rights();
  Session mistakes();
  Session broken_frames();
  Session fatal_frame();
  Session stranger();
  Session vanishing();

  /// A session that has said Hello.
  Session open(abi::control::Rights rights = abi::control::Rights::All);
  Request hello(const abi::control::Token& token, Check check);
  Request call(std::string_view kind, std::string_view op, json args, Check check);
  Request ping(std::string_view kind, std::size_t bytes);
  Request cancel(std::uint32_t id, Check check);
  /// A frame with any header and bytes behind it.
  Request raw(std::string_view kind, std::uint32_t answered_id, const abi::control::FrameHeader& header,
              const Bytes& rest, Check check);
  /// The payload of a ping under an id of its own, which is the last one handed out.
  Bytes ping_payload();
  std::uint32_t next_id();
  std::size_t between(std::size_t least, std::size_t most);
  bool one_in(unsigned count) { return between(1, count) == 1; }

  vmm::control::Key key_;
  unsigned number_;
  Random random_;
  std::uint32_t last_id_ = 0;
  unsigned graphs_ = 0;  ///< made so far: each has a name of its own
};

/// Adds moves of one request each.
void add_one_by_one(Session& session, std::vector<Request> requests);

// What an answer must be.
Check ok();
/// Each key of `expected` is in the result with that value.
Check result_has(json expected);
Check refused_with(std::string_view code, std::string_view field = {});

}  // namespace load
