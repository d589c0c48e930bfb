// The newest lines of the log, for who reads them later.
//
//   bytes ever written   0 ................. oldest ......... end
//   kept in a ring                           [  the newest kBytes  ]
//
// A place in this text is its number of bytes, which grows for ever; a line is known by where it begins. The byte that
// ends a line tells its level.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::kernel {

/// One writer at a time: who holds the log's lock. Readers anywhere, in any context, without a lock: they look whether
/// what they have copied was written over meanwhile.
class LogHistory {
 public:
  static constexpr std::size_t kBytes = 16'384;

  constexpr LogHistory() = default;
  LogHistory(const LogHistory&) = delete;
  LogHistory& operator=(const LogHistory&) = delete;

  /// More text, lines in parts; a line feed in it ends a line of level Quiet. Never waits.
  void append(std::string_view text);
  /// Ends the line.
  void end_line(Verbosity level) { put({&kEnds[static_cast<std::size_t>(level)], 1}); }

  /// Behind the newest line that has ended.
  [[nodiscard]] std::uint64_t end() const { return lines_end_.load(std::memory_order_acquire); }
  struct Line {
    std::uint64_t begin;
    std::uint64_t next;  ///< where the line after it begins
    std::size_t bytes;   ///< written to `into`; what did not fit is cut
    Verbosity level;
    [[nodiscard]] bool cut() const { return bytes < next - begin - 1; }
  };
  /// The first line that begins at `from` or later, of those that have ended and are still kept; without its end.
  /// Nothing: there is none.
  [[nodiscard]] std::optional<Line> read(std::uint64_t from, std::span<char> into) const;

 private:
  /// By level. The others than a line feed are control characters that text has no use for.
  static constexpr char kEnds[] = {'\n', '\x11', '\x12'};
  static constexpr bool is_end(char byte) { return byte == kEnds[0] || byte == kEnds[1] || byte == kEnds[2]; }

  void put(std::string_view text);
  enum class Attempt : std::uint8_t { Done, None, Overwritten };
  Attempt try_read(std::uint64_t from, std::span<char> into, Line& line) const;
  /// What is at `place` now.
  [[nodiscard]] char at(std::uint64_t place) const {
    return ring_[place % kBytes].load(std::memory_order_relaxed);  // ordered by `lines_end_` and `writing_to_`
  }
  /// The oldest place that nobody is writing over.
  [[nodiscard]] std::uint64_t oldest() const {
    const std::uint64_t newest = writing_to_.load(std::memory_order_relaxed);  // who uses it has a fence before
    return newest < kBytes ? 0 : newest - kBytes;
  }

  std::atomic<char> ring_[kBytes] = {};
  std::atomic<std::uint64_t> writing_to_{0};  ///< bytes behind the ones that are being written
  std::atomic<std::uint64_t> end_{0};         ///< the writer's own: bytes that are written
  std::atomic<std::uint64_t> lines_end_{0};   ///< behind the last line end in them
};

}  // namespace guest::kernel
